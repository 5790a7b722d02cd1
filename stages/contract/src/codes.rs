//! Every code that a verdict, a dead letter or a refused command can carry, with its page.

/// A code: stable, lower snake case, part of the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The code as it stands on the wire.
    pub id: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

macro_rules! codes {
    ($($name:ident $id:literal $meaning:literal $advice:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code { id: $id, meaning: $meaning, advice: $advice };)*
        /// All codes, in the order of `docs/errors.md`.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    // Records
    AVRO_UNREADABLE "avro_unreadable" "The bytes are not one whole Avro record of the schema they name: truncated, trailing bytes, or a length beyond the limit." "Encode with the schema in schemas/avsc in single-object encoding; send nothing behind the record.";
    SCHEMA_UNKNOWN "schema_unknown" "The fingerprint or registry id in front of the record is of no schema that this version knows." "Use a schema from schemas/avsc or schemas/history, unchanged.";
    FRAMING_UNKNOWN "framing_unknown" "The record begins neither with C3 01 (Avro single-object encoding) nor with 00 (Confluent framing)." "Put the two marker bytes and the 8-byte fingerprint in front of the Avro body.";
    FRAMING_CONFLUENT_UNCONFIGURED "framing_confluent_unconfigured" "The record has Confluent framing, and no schema registry is configured." "Use Avro single-object encoding.";
    RECORD_EMPTY "record_empty" "The record has no value (a tombstone) or an empty one." "Send the encoded request as the record's value.";
    KEY_MISMATCH "key_mismatch" "The record's key is not `<tenant>/<request_id>` of its own topic and content." "Set the key to the tenant of the topic's name, a slash, and the request_id.";
    TENANT_MISMATCH "tenant_mismatch" "The tenant in the record's key is not the tenant in the topic's name." "Publish to the topic of the tenant, or mend the key.";
    PARTITION_MISMATCH "partition_mismatch" "The record lies on another partition than its key gives." "Set partitioner=murmur2_random in librdkafka clients (confluent-kafka), or leave Java's default.";
    REQUEST_ID_INVALID "request_id_invalid" "request_id is not 1 to 128 bytes of UTF-8 text without control characters." "Use a short unique text, for example a UUID.";
    SCENE_UNKNOWN "scene_unknown" "The request names a scene that the policy does not have." "Use `default`, or add the scene (`shiren policy set`).";
    POLICY_VERSION_UNKNOWN "policy_version_unknown" "The case was admitted under a version of its scene's policy that this worker does not have: it is older than policy.versions_max changes, was written by a newer program, or shiren.policy could not be read." "Publish the request again; look at `shiren policy history` and the worker's log.";
    KIND_UNSUPPORTED "kind_unsupported" "No stage of this topology serves requests of this kind." "See README: kinds that this version serves.";
    PICTURE_MISSING "picture_missing" "A picture that this kind of request needs is not in the record." "compare needs probe and reference; detect needs probe.";
    PICTURE_UNEXPECTED "picture_unexpected" "The record carries a picture that this kind of request does not use." "Leave it out: what is not needed is not sent.";
    PICTURE_FORM_UNSUPPORTED "picture_form_unsupported" "The picture is Sealed or a Reference; this version reads Inline only." "Send the picture's bytes inline.";
    SEARCH_INVALID "search_invalid" "A search names no library, too many, or asks for more candidates than the limit." "Name 1 to library.search_libraries_max libraries by their ids, and 1 to library.search_persons_max candidates.";
    COMMAND_INVALID "command_invalid" "A library command lacks what its operation needs, or is of the other kind." "create and enrol are of kind enrol, unenrol and delete of kind unenrol; see docs/library-engines.md for the fields of each.";
    CONSENT_MISSING "consent_missing" "An enrolment without consent_ref or purpose." "Set both: who agreed where, and to what end.";
    QUESTION_UNEXPECTED "question_unexpected" "The request carries a search, a library command or a claim, which this kind does not use." "Leave it out, or set the kind that you mean.";
    CLAIM_MISSING "claim_missing" "The request is of kind verify and says nobody's name and number." "Set claim with name and number, as they stand on the card.";
    CLAIM_INVALID "claim_invalid" "valid_from or valid_to of the claim is no day, or valid_to lies before valid_from; or a text of it came sealed." "Write days as YYYY-MM-DD, leave null what is not known, and send name and number as plain text: the chain seals them.";
    CLOCK_SKEW "clock_skew" "The capture time is further from the time at which the log received the case than runtime.capture_max_skew_ms. It decides nothing: the case is judged by the log's time." "Set the camera's clock (NTP); if captures are sent late on purpose, publish them with mode backfill.";
    MODE_UNSUPPORTED "mode_unsupported" "A library command has no shadow and no backfill: it changes the library." "Publish commands with mode live; search libraries in any mode.";
    TOPIC_MISMATCH "topic_mismatch" "Library commands have a topic of their own, and no other request belongs there." "Publish kinds enrol and unenrol to shiren.<tenant>.library-commands with the key <tenant>/<library id>, others to requests.<lane>.";
    DEADLINE_INVALID "deadline_invalid" "deadline_ms is not between 1 and the topology's limit." "Leave it null for the scene's default.";
    DEADLINE_EXCEEDED "deadline_exceeded" "The case was older than its deadline when a worker came to it." "Add workers, or raise the deadline if a late answer is of use.";
    // Pictures
    PICTURE_EMPTY "picture_empty" "The picture has no bytes." "Send the file's bytes.";
    PICTURE_TOO_LARGE "picture_too_large" "The picture has more bytes than stills.max_bytes." "Send a smaller file; 1 to 3 megapixels are plenty for a face.";
    PIXELS_OVER_LIMIT "pixels_over_limit" "The header declares more pixels, or a longer side, than the limits allow; nothing was decoded." "Send a smaller picture.";
    PICTURE_TOO_SMALL "picture_too_small" "The picture's shorter side is below stills.min_side_px." "Send the picture at its original size.";
    NOT_AN_IMAGE "not_an_image" "The bytes are of no image format." "Send JPEG, PNG, WebP or BMP.";
    FORMAT_UNSUPPORTED "format_unsupported" "An image format that is not read (named in the evidence): HEIC, AVIF, JPEG 2000, GIF, TIFF and the like." "Send JPEG, PNG, WebP or BMP.";
    ANIMATION_UNSUPPORTED "animation_unsupported" "The file holds several frames; which one is meant is not ours to guess." "Send one still picture.";
    IMAGE_TRUNCATED "image_truncated" "The file ends before the picture does." "Send the whole file; check the upload.";
    IMAGE_CORRUPT "image_corrupt" "The file is damaged: its pixels cannot be read whole." "Send an undamaged file.";
    COLOUR_SPACE_UNSUPPORTED "colour_space_unsupported" "A colour space that cannot be turned into RGB safely." "Save the picture as RGB.";
    BIT_DEPTH_UNKNOWN "bit_depth_unknown" "A 16-bit picture uses only a small part of its range and does not declare its true depth, so its brightness is not known." "Write an sBIT chunk with the true depth, or scale to the full range.";
    DECODE_TIMEOUT "decode_timeout" "Decoding took longer than stills.decode_max_ms." "Send a smaller picture.";
    // Faces
    NO_FACE "no_face" "No face was found in the picture." "Send a picture with a face that is well lit and not covered.";
    FACE_TOO_CLOSE "face_too_close" "The face fills the picture so far that it cannot be read whole." "Hold the camera further away, so that the whole head is in the picture.";
    FACE_TOO_SMALL "face_too_small" "The subject's face is narrower than the scene's min_face_px." "Come closer, or send the picture at its original size.";
    FACE_ROTATED "face_rotated" "The subject's face is turned by more than the limit in the picture's plane." "Hold the camera upright, or send the EXIF orientation.";
    MULTIPLE_FACES "multiple_faces" "More than one face where one is expected. With decision error: none is the subject by a clear margin. Otherwise: only the subject named in the evidence was compared." "See to it that one person is in the picture.";
    FACES_OVER_LIMIT "faces_over_limit" "More faces than detect.max_faces; those with the best detection scores are kept." "Send a closer picture if the others matter.";
    // Quality: the first that applies is the reason of the check `quality`
    NOT_A_FACE "not_a_face" "What was found is no face to the mesh: its face flag is below quality.min_presence." "Send a picture of the person's own face, uncovered and from the front.";
    FACE_CUT_OFF "face_cut_off" "Part of the face lies outside the picture." "Hold the camera so that the whole head is in the picture.";
    EYES_TOO_CLOSE "eyes_too_close" "The eyes are fewer pixels apart than the limit of this picture's kind: the face has too few pixels." "Come closer, use a camera with more pixels, or send the picture at its original size.";
    YAW_TOO_LARGE "yaw_too_large" "The face is turned to one side by more than the limit." "Look straight at the camera.";
    PITCH_TOO_LARGE "pitch_too_large" "The face is turned up or down by more than the limit." "Hold the camera at the height of the eyes and look straight at it.";
    ROLL_TOO_LARGE "roll_too_large" "The head is tilted by more than the limit." "Hold the head and the camera upright.";
    FACE_TOO_DARK "face_too_dark" "The face is too dark, or too much of it is nearly black." "Face the light; do not stand with a window or lamp behind you.";
    FACE_TOO_BRIGHT "face_too_bright" "The face is too bright, or too much of it is nearly white." "Step out of direct light; turn the flash off.";
    CONTRAST_TOO_LOW "contrast_too_low" "The face has too little contrast: fog, a dirty lens, a pale print." "Wipe the lens; take the picture in even, brighter light.";
    FACE_BLURRED "face_blurred" "The face is not sharp: out of focus, moved, or enlarged from few pixels." "Hold still, let the camera focus, and send the original file.";
    FACE_COMPRESSED "face_compressed" "The face is coarsened by strong compression: its blocks show." "Send the original file, or save with a higher JPEG quality (50 or more).";
    // Attributes
    ATTRIBUTE_NOT_MEASURED "attribute_not_measured" "No model, or none whose errors were measured, tells this attribute: no guess is given." "Do not rely on it; see docs/accuracy.md.";
    ATTRIBUTE_UNCERTAIN "attribute_uncertain" "The model does not see this attribute clearly enough." "Take a sharper picture from the front, in even light.";
    // Checks
    COMPARISON_BELOW_THRESHOLD "comparison_below_threshold" "The comparison score is below the threshold of the scene's false-match rate." "These are not shown to be the same person; take a new picture if they should be.";
    NOBODY_FOUND "nobody_found" "No face in the libraries searched reaches the threshold of the scene's false-positive identification rate." "Nothing: the person is not enrolled there, or the picture does not show it; a better picture may.";
    LIBRARY_UNKNOWN "library_unknown" "The command names a library that was never created, or was deleted." "Create it (`shiren library create`), or name its id as `shiren library list` shows it.";
    FACE_CONFLICT "face_conflict" "The face id is taken by another person of the library." "Leave face_id out, or choose another.";
    LIBRARY_MODEL_MISMATCH "library_model_mismatch" "The library holds templates of another model." "Embed with the library's model, or rebuild the library from its pictures.";
    PERSON_FACES_OVER_LIMIT "person_faces_over_limit" "The person has as many faces as library.faces_per_person_max." "Unenrol one of them first.";
    SUPERSEDED "superseded" "A later command on the same face, person or library stands instead; nothing was changed." "Nothing: the later command holds.";
    NOTHING_ENROLLED "nothing_enrolled" "There was nothing to erase: nobody of that name is enrolled there." "Nothing; check person_id if you expected somebody.";
    MARGIN_TOO_SMALL "margin_too_small" "The two best candidates are too close to tell apart by scene.*.min_margin." "Have a person look at both, or take a better picture.";
    SCENE_DOES_NOT_SEARCH "scene_does_not_search" "The scene names no target_fpir: it has no threshold for a search." "Set scene.*.target_fpir, or name another scene.";
    LIVENESS_NOT_CHECKED "liveness_not_checked" "Liveness did not run: no stage of this topology checks it." "Do not take the verdict for proof of a live person.";
    QUALITY_NOT_CHECKED "quality_not_checked" "Quality did not run: no stage of this topology checks it, or the profile of weights names no mesh." "Nothing, unless the scene should require it.";
    REQUIRED_CHECK_NOT_RUN "required_check_not_run" "The scene requires a check that did not run, so nothing is accepted." "Run the stage, or do not require its check in this scene.";
    THRESHOLD_EXTRAPOLATED "threshold_extrapolated" "The threshold lies where too few false matches were seen to measure it; it was extrapolated." "Calibrate with more pairs (docs/thresholds.md).";
    CALIBRATION_MISSING "calibration_missing" "No calibration table for this model and reference kind supports the scene's false-match rate." "Choose a rate that the table supports, or bring a table.";
    REFERENCE_KIND_UNSUPPORTED "reference_kind_unsupported" "No calibration table for this reference kind." "Use `live` or `on_file`, or bring a table.";
    IDENTITY_NUMBER_UNKNOWN "identity_number_unknown" "The authority knows nobody with this number." "Compare the number with the card; a person may be missing in a local register (`shiren register import`).";
    IDENTITY_NAME_DIFFERS "identity_name_differs" "The authority's record of this number has another name." "Compare the name with the card, character by character.";
    IDENTITY_VALIDITY_DIFFERS "identity_validity_differs" "The authority's record has another first or last day than the claim: the card was replaced or withdrawn." "Ask for the present card; compare the days with it.";
    IDENTITY_NOT_YET_VALID "identity_not_yet_valid" "The validity, of the claim or of the record, begins after the day of the request." "Compare the days with the card; look whether the clock is right.";
    IDENTITY_EXPIRED "identity_expired" "The validity, of the claim or of the record, was over before the day of the request." "Ask for a card that is valid.";
    PORTRAIT_MISSING_AT_AUTHORITY "portrait_missing_at_authority" "The authority's record of this person has no portrait, so the face could not be compared." "Import the person with a portrait, or have a person decide.";
    PORTRAIT_BELOW_THRESHOLD "portrait_below_threshold" "The live face and the registered portrait score below the threshold of the scene's false-match rate." "This is not shown to be the registered person; take a new picture if it should be.";
    // Liveness
    LIVENESS_ATTACK_SUSPECTED "liveness_attack_suspected" "The probe looks like a print or a screen that is held before the camera." "Have the person step before the camera themselves; in doubt look at the picture.";
    LIVENESS_UNCERTAIN "liveness_uncertain" "The score lies between what is taken for an attack and what is taken for a live person." "Take a new picture, sharp, evenly lit and without a frame or screen in view.";
    LIVENESS_INPUT_UNFIT "liveness_input_unfit" "The face is too small or too blurred for liveness." "Come closer and hold still: the face should be at least liveness.min_face_px wide and sharp.";
    LIVENESS_ADVISORY "liveness_advisory" "The face passed the passive check of one still, which misses good prints and screens; on its own that is not enough to accept." "Look at the picture, or say in the scene's allow_advisory why it may accept.";
    // Faults of the chain
    INVARIANT_VIOLATED "invariant_violated" "A stage would have accepted the case where that must not be (docs/metrics.md names the invariant in the detail); the case is closed as an error." "This is a fault of the program or of a stage of your own: report it with the dead letter and the worker's log.";
    STAGE_FAILED "stage_failed" "A stage failed on this case; the case is closed as an error." "Look at the worker's log and the dead letter; publish the request again when the fault is mended.";
    RECORD_KILLS_PROCESS "record_kills_process" "The worker process died runtime.crash_max_attempts times while it worked on this record alone (abort, segmentation fault, out of memory, or longer than runtime.record_max_ms); the case is closed as an error." "Look at the picture or the record with `shiren dead-letters show`, and at how the process ended; mend or upgrade the stage, then `shiren dead-letters replay`.";
    RECORD_TOO_LARGE "record_too_large" "A record between stages would exceed topics.max_record_bytes; the case is closed as an error." "Raise topics.max_record_bytes, or lower detect.crop_max_side_px.";
    MODEL_FAILED "model_failed" "A model could not be run on this picture." "Look at the worker's log.";
    TEMPLATE_INVALID "template_invalid" "A model gave a template that is not finite or has no length." "Look at the worker's log; this face cannot be compared.";
    // Vault
    KEY_DESTROYED "key_destroyed" "The key that sealed this picture was destroyed, at its time to live or by an operator; the picture is erased for good." "Nothing brings it back. If it came too early, raise vault.key_ttl_ms for the pictures to come; a case that waited too long is to be sent again.";
    KEY_STORE_MISSING "key_store_missing" "There is no key store in vault.dir, so nothing can be sealed or opened." "Run `shiren vault init`; if there was a store, put it back (docs/vault.md): a new one opens nothing that the old one sealed.";
    KEY_STORE_EXISTS "key_store_exists" "There is a key store in vault.dir already; it is never overwritten." "Use the one that is there, or name another vault.dir.";
    KEY_STORE_UNREADABLE "key_store_unreadable" "A file of the key store, or the key-encryption key, is missing, damaged, open to others or cannot be used." "Mend the file that the message names: access rights (chmod 600), a full disk, or the copy of a backup.";
    KEY_WRONG "key_wrong" "The key-encryption key is not the one that wraps this store's keys." "Give the key-encryption key that belongs to the store in vault.kek_file or SHIREN_VAULT_KEK; after `shiren vault rotate-kek` that is the new one.";
    SEALED_CORRUPT "sealed_corrupt" "Sealed bytes fail their check: damaged, of another tenant, or moved from another case or field." "Look at who wrote the record; nothing of it was opened.";
    // ID number
    NUMBER_LENGTH_INVALID "number_length_invalid" "An identity number that has not 18 characters." "Read it again; 17 digits, and a digit or X at the end.";
    NUMBER_OLD_FORM "number_old_form" "An old identity number of 15 digits, which has no check character and is out of use." "Take the 18 characters of the present card.";
    NUMBER_CHARACTER_INVALID "number_character_invalid" "A character of the identity number is none that may stand there." "Read it again; 17 digits, and a digit or X at the end.";
    NUMBER_REGION_INVALID "number_region_invalid" "The identity number begins with no province-level code of GB/T 2260." "Read the first two digits again.";
    NUMBER_BIRTH_DATE_INVALID "number_birth_date_invalid" "Digits 7 to 14 of the identity number are no day that exists." "Read them again.";
    NUMBER_BIRTH_DATE_TOO_EARLY "number_birth_date_too_early" "The birth date in the identity number lies before 1800." "Read digits 7 to 10 again.";
    NUMBER_BIRTH_DATE_FUTURE "number_birth_date_future" "The birth date in the identity number lies in the future." "Read digits 7 to 14 again; look whether the clock is right.";
    NUMBER_CHECK_DIGIT_WRONG "number_check_digit_wrong" "The check character of the identity number does not fit the digits in front of it." "Read the whole number again: one or more characters are wrong.";
    // Authority
    AUTHORITY_UNAVAILABLE "authority_unavailable" "The authority does not answer; it may in a while." "Look at the connection to the authority; publish the request again when it answers.";
    AUTHORITY_DEADLINE_EXCEEDED "authority_deadline_exceeded" "The deadline passed before the authority had answered." "Raise the deadline if a late answer is of use, or see why the authority is slow.";
    IDENTITY_LIMIT_EXCEEDED "identity_limit_exceeded" "There were as many attempts on this identity number as `identity_limit.max_attempts` allows within `identity_limit.window_ms`. The authority was not asked." "Try again when the window has passed; see whether somebody is guessing, or a producer repeats itself under new request ids.";
    OUTCOME_UNKNOWN "outcome_unknown" "The case was asked, its process died or lost its partition before the reply was kept, and the same must not be asked twice." "Look at the authority's own records of the case; a new request asks, and pays, anew.";
    AUTHORITY_PROBE_UNSUPPORTED "authority_probe_unsupported" "The authority compares portraits in another form than it was given: a template instead of a picture, or the other way round." "A fault of the wiring: give what the authority says that it wants.";
    REGISTER_UNREADABLE "register_unreadable" "The local register is missing, damaged, cannot be read, or its key is another one or cannot be used." "The message says which: put the file or its key back from where they are kept (docs/register.md).";
    REGISTER_EXISTS "register_exists" "There is a register at this place already; it is never overwritten." "Use the one that is there, or name another file.";
    REGISTER_LOCKED "register_locked" "Another process or thread is writing the register." "Wait until it is done, then run the command again.";
    REGISTER_OVER_LIMIT "register_over_limit" "The register, or what is to be imported, is larger than a limit." "Raise the limit that the message names, or import less.";
    REGISTER_MODEL_MISMATCH "register_model_mismatch" "The register's template is of another model than the one it is to be compared with." "Make the register's templates anew by the model in use (docs/register.md).";
    // Face library
    LIBRARY_UNAVAILABLE "library_unavailable" "The face library's server is down or slow." "It comes back by itself; else look at the server.";
    LIBRARY_LOCKED "library_locked" "Another process has the face library's folder." "Stop it, or use the server engine.";
    LIBRARY_DIMENSION_MISMATCH "library_dimension_mismatch" "The face library's place holds templates of another length or metric." "Give the other model a library of its own.";
    LIBRARY_TEMPLATE_REFUSED "library_template_refused" "A template that is no unit vector of the face library's length." "A fault in the embedder, or a damaged record: look at the worker's log.";
    LIBRARY_OVER_LIMIT "library_over_limit" "Something for the face library is empty, too long or too many, or an option is out of range." "Raise the bound that the message names, or send less at once.";
    LIBRARY_DEADLINE_EXCEEDED "library_deadline_exceeded" "The deadline passed before the face library had answered; writes may have been done." "Repeat it: the same write has the same effect once.";
    LIBRARY_FAILED "library_failed" "The face library's engine broke or refused; the text says where." "Look at disk, memory, rights and API key; then start anew.";
    // Requests that come again
    IDEMPOTENCY_CONFLICT "idempotency_conflict" "A request_id that was used already, within its scene's request_ttl_ms, came with another payload; the first one stands." "Give each request an id of its own; send a request that is repeated byte for byte as it was.";
    // Rows of a register's import
    IMPORT_UNREADABLE "import_unreadable" "The table cannot be read." "Look at the file and its access rights.";
    IMPORT_NOT_UTF8 "import_not_utf8" "The table is not UTF-8 from the line that the message names on, so names would be garbled; nothing was imported." "Convert it: iconv -f GB18030 -t UTF-8, or save it as CSV UTF-8.";
    IMPORT_COLUMNS_WRONG "import_columns_wrong" "The first line does not name the columns; nothing was imported." "Columns: name, number, and where wanted portrait, valid_from, valid_to, each once.";
    ROW_COLUMNS_WRONG "row_columns_wrong" "The row has more or fewer fields than the first line." "Mend the row: a comma within a field needs quotes around the field.";
    ROW_DATE_INVALID "row_date_invalid" "valid_from or valid_to is no day, or valid_to lies before valid_from." "Write days as YYYY-MM-DD; leave empty what is not known.";
    ROW_CONFLICT "row_conflict" "An earlier row of the same table gives this number another name, portrait or validity; the earlier one stands." "Look which one is right, and import that row alone.";
    NAME_EMPTY "name_empty" "The name is empty." "Give the name as it stands on the card.";
    NAME_TOO_LONG "name_too_long" "The name has more than 256 bytes of UTF-8." "Give the name as it stands on the card.";
    NAME_GARBLED "name_garbled" "The name holds control or replacement characters: it was garbled on its way." "See that every step on its way is UTF-8.";
    PORTRAIT_MISSING "portrait_missing" "There is no file at the row's portrait." "Put the file there, or leave the field empty.";
    PORTRAIT_OUTSIDE_FOLDER "portrait_outside_folder" "The row's portrait is an absolute path or leads out of the folder of portraits." "Give the path below the folder of portraits.";
    PORTRAIT_UNREADABLE "portrait_unreadable" "The row's portrait is no file that can be read." "Look at its access rights.";
    PORTRAIT_TOO_LARGE "portrait_too_large" "The row's portrait has more bytes than register_portrait_max_bytes." "Give a smaller picture; 1 to 3 megapixels are plenty for a face.";
}

/// The code with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Code> {
    ALL.iter().find(|code| code.id == id)
}
