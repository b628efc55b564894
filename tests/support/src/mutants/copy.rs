//! `Copy` is the copy of the tree that is damaged. It is in the build folder, so that Cargo finds its earlier
//! work there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use super::Mutant;

/// A copy of the tree on disk, including uncommitted changes.
pub struct Copy {
    pub tree: PathBuf,
    /// The copy's own build folder, so that its damage does not reach the real one.
    pub target: PathBuf,
}

impl Copy {
    /// Updates `target/mutants/tree` below `root` to the state of `root`. Unchanged files keep their times.
    pub fn of(root: &Path) -> anyhow::Result<Copy> {
        let copy = Copy { tree: root.join("target/mutants/tree"), target: root.join("target/mutants/target") };
        let wanted = files_of(root)?;
        for file in &wanted {
            copy.put(file, &fs::read(root.join(file))?)?;
        }
        remove_others(&copy.tree, &copy.tree, &wanted)?;
        Ok(copy)
    }

    /// Damages one file while `then` runs, and always restores it.
    pub async fn damaged<T>(
        &self,
        mutant: &Mutant,
        then: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let path = self.tree.join(&mutant.file);
        let sound = fs::read_to_string(&path).with_context(|| mutant.file.clone())?;
        let broken = mutant.damage(&sound).map_err(anyhow::Error::msg)?;
        self.put(Path::new(&mutant.file), broken.as_bytes())?;
        let result = then.await;
        self.put(Path::new(&mutant.file), sound.as_bytes())?;
        result
    }

    fn put(&self, file: &Path, text: &[u8]) -> anyhow::Result<()> {
        let path = self.tree.join(file);
        if fs::read(&path).is_ok_and(|there| there == text) {
            return Ok(());
        }
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    }
}

/// Returns the existing files that git tracks or would add.
fn files_of(root: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(list).current_dir(root).output().context("git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout)?;
    let there = names.split_terminator('\0').map(PathBuf::from).filter(|file| root.join(file).is_file());
    Ok(there.collect())
}

fn remove_others(tree: &Path, folder: &Path, wanted: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(tree, &path, wanted)?;
        } else if !wanted.contains(path.strip_prefix(tree)?) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
