//! Which pictures an import takes, and whose they are.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// One picture of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) person: String,
    pub(super) picture: PathBuf,
}

/// The pictures of a folder or a table, in an order that stays.
///
/// # Errors
/// It cannot be read, has no pictures, or more than `max`.
pub(super) fn list(from: &Path, max: usize) -> anyhow::Result<Vec<Item>> {
    let shown = from.display();
    let items = if from.is_dir() {
        of_folder(from)
    } else {
        of_table(from)
    };
    let items = items.with_context(|| shown.to_string())?;
    match items.len() {
        0 => bail!(
            "{shown}: no pictures; a folder has one folder a person, a table the columns person and picture"
        ),
        n if n > max => bail!("{shown}: {n} pictures, library.import_max_faces is {max}"),
        _ => Ok(items),
    }
}

fn of_folder(folder: &Path) -> anyhow::Result<Vec<Item>> {
    let mut items = Vec::new();
    for person in sorted(folder)? {
        if !person.is_dir() {
            continue;
        }
        let name = person.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{}: its name is no UTF-8", person.display()))?;
        items.extend(sorted(&person)?.into_iter().map(|picture| Item {
            person: name.to_owned(),
            picture,
        }));
    }
    Ok(items)
}

fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<Result<Vec<_>, _>>()?;
    // What a desktop leaves behind is no picture of anybody.
    paths.retain(|path| {
        !path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    paths.sort_unstable();
    Ok(paths)
}

#[derive(serde::Deserialize)]
struct Row {
    person: String,
    picture: PathBuf,
}

/// Paths start at the table's own folder.
fn of_table(table: &Path) -> anyhow::Result<Vec<Item>> {
    let beside = table.parent().unwrap_or(Path::new(""));
    let mut reader = csv::Reader::from_path(table)?;
    let rows = reader.deserialize().map(|row| {
        let Row { person, picture } = row?;
        let picture = beside.join(picture);
        Ok(Item { person, picture })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_table_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for (person, file) in [
            ("ann", "b.jpg"),
            ("ann", "a.jpg"),
            ("bob", "c.jpg"),
            ("bob", ".hidden"),
        ] {
            std::fs::create_dir_all(dir.path().join(person)).unwrap();
            std::fs::write(dir.path().join(person).join(file), []).unwrap();
        }
        std::fs::write(
            dir.path().join("t.csv"),
            "person,picture\nann,ann/a.jpg\nann,ann/b.jpg\nbob,bob/c.jpg\n",
        )
        .unwrap();
        let folder = list(dir.path(), 3).unwrap();
        assert_eq!(folder, list(&dir.path().join("t.csv"), 3).unwrap());
        assert_eq!(folder.len(), 3);
        assert!(
            list(dir.path(), 2)
                .unwrap_err()
                .to_string()
                .contains("import_max_faces")
        );
        assert!(list(&dir.path().join("bob"), 9).is_err());
        std::fs::write(dir.path().join("t.csv"), "name,file\nann,a.jpg\n").unwrap();
        assert!(list(&dir.path().join("t.csv"), 9).is_err());
    }
}
