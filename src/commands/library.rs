//! `shiren library`: libraries of faces, and who is in them.
//!
//! What is there is read from the topic `shiren.library`; what is to change is published as a command, as any producer
//! would, and its verdict awaited.

mod asking;
mod importing;
mod looking;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Place;
use crate::requests::Consent;

#[derive(Subcommand)]
pub(crate) enum LibraryCommand {
    /// Make a library
    Create(asking::CreateArgs),
    /// All libraries: name, id, persons, faces, model
    List(ListArgs),
    /// Who is in a library, with consent and purpose
    Show(looking::ShowArgs),
    /// Who of a library, or of several, is in this picture?
    Search(asking::SearchArgs),
    /// Add a face of a person
    Enrol(asking::EnrolArgs),
    /// Add persons from a folder or a table; goes on where it was broken off
    Import(importing::ImportArgs),
    /// Erase a person, or one face of them
    Unenrol(asking::UnenrolArgs),
    /// Take a person from one library to another
    Move(asking::MoveArgs),
    /// Erase a library with all in it
    Delete(asking::DeleteArgs),
    /// Make the engine anew from the topic; the workers must be stopped where the engine is embedded
    Rebuild(looking::RebuildArgs),
    /// Compare the engine with the topic, templates too; as for rebuild
    Verify(looking::VerifyArgs),
    /// Write a library's persons and faces as JSON lines
    Export(looking::ExportArgs),
}

/// Whose libraries, and how it is told.
#[derive(Args)]
pub(crate) struct ListArgs {
    /// Tenant; default: the topology's first
    #[arg(long)]
    tenant: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What every command that asks the chain has.
#[derive(Args)]
pub(crate) struct AskArgs {
    /// Tenant; default: the topology's first
    #[arg(long)]
    tenant: Option<String>,
    /// Longest wait for the verdict, seconds
    #[arg(long, default_value_t = 60)]
    wait_max_s: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Why a person's face may be kept.
#[derive(Args, Clone)]
pub(crate) struct ConsentArgs {
    /// Where the person's consent is on record
    #[arg(long)]
    consent_ref: String,
    /// What the face is kept for
    #[arg(long)]
    purpose: String,
}

impl ConsentArgs {
    fn consent(&self) -> Consent {
        Consent {
            consent_ref: self.consent_ref.clone(),
            purpose: self.purpose.clone(),
        }
    }
}

/// A picture and whose it is.
#[derive(Args)]
pub(crate) struct FaceArgs {
    /// Person, by your own id of them
    #[arg(long)]
    person: String,
    /// A picture with one face
    picture: PathBuf,
}

pub(crate) fn library(place: &Place, command: &LibraryCommand) -> anyhow::Result<ExitCode> {
    match command {
        LibraryCommand::Create(args) => asking::create(place, args),
        LibraryCommand::List(args) => looking::list(place, args),
        LibraryCommand::Show(args) => looking::show(place, args),
        LibraryCommand::Search(args) => asking::search(place, args),
        LibraryCommand::Enrol(args) => asking::enrol(place, args),
        LibraryCommand::Import(args) => importing::import(place, args),
        LibraryCommand::Unenrol(args) => asking::unenrol(place, args),
        LibraryCommand::Move(args) => asking::move_person(place, args),
        LibraryCommand::Delete(args) => asking::delete(place, args),
        LibraryCommand::Rebuild(args) => looking::rebuild(place, args),
        LibraryCommand::Verify(args) => looking::verify(place, args),
        LibraryCommand::Export(args) => looking::export(place, args),
    }
}
