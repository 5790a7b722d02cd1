//! The site's register of persons: where it is, and by which key it is opened.

use shiren_authority::RegisterOptions;

use crate::site::Site;
use crate::vault;

/// Holds the register's key as 64 hexadecimal digits; wins over `register.kek_file`.
pub const KEK_VARIABLE: &str = "SHIREN_REGISTER_KEK";

/// Options of the site's register.
#[must_use]
pub fn options(site: &Site) -> RegisterOptions {
    let settings = &site.topology.register;
    let kek = vault::kek(KEK_VARIABLE, site.home.join(&settings.kek_file));
    RegisterOptions {
        register_max_persons: settings.max_persons,
        register_max_bytes: settings.max_bytes,
        register_portrait_max_bytes: settings.portrait_max_bytes,
        register_import_max_rows: settings.import_max_rows,
        register_import_max_bytes: settings.import_max_bytes,
        ..RegisterOptions::new(site.home.join(&settings.file), kek)
    }
}
