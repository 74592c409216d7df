//! The archive for machines without Python: the tree as it is, in one folder.

use std::path::Path;

use anyhow::Result;

use super::source_date;
use super::tree::Tree;
use crate::shell::{program, run};

/// Packs the tree, files in the order of their names.
pub(super) fn pack(tree: &Tree, dist: &Path) -> Result<()> {
    let name = Tree::name();
    let mut tar = program("tar");
    tar.args(["--create", "--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime=@{}", source_date()?));
    // Without the time of packing, which gzip would keep.
    tar.arg("--use-compress-program=gzip --no-name -9");
    tar.arg("--file").arg(dist.join(format!("{name}.tar.gz")));
    tar.arg("--directory").arg(tree.folder.parent().unwrap_or(&tree.folder)).arg(name);
    run(&mut tar)
}
