//! The Debian package: the tree below `/usr`, and a service of systemd with a user of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::build::Built;
use super::tree::{DOCUMENTS, Tree};
use super::{VERSION, WORK, copy, copy_folder, empty_folder, fill_in, sorted_files, source_date, write};
use crate::install::MANUAL;
use crate::shell::{output, program, report, root, run};

/// Files of `packaging/deb`, where they go in the package, and whether they are programs.
const FILES: [(&str, &str, bool); 7] = [
    ("carafe.service", "usr/lib/systemd/system/carafe.service", false),
    ("default", "etc/default/carafe", false),
    ("conffiles", "DEBIAN/conffiles", false),
    ("lintian-overrides", "usr/share/lintian/overrides/carafe", false),
    ("postinst", "DEBIAN/postinst", true),
    ("prerm", "DEBIAN/prerm", true),
    ("postrm", "DEBIAN/postrm", true),
];

/// Makes the package, if what it depends on is known.
pub(super) fn make(tree: &Tree, built: &Built, dist: &Path) -> Result<()> {
    let Some(depends) = built.depends() else {
        report(
            "no Debian package: `dpkg-shlibdeps`, which finds what it depends on, was not there (Debian: `apt install dpkg-dev`)",
        );
        return Ok(());
    };
    let package = empty_folder(&format!("{WORK}/deb"))?;
    copy_folder(&tree.folder, &package.join("usr"))?;
    documents(&package.join("usr").join(DOCUMENTS))?;
    compress(&sorted_files(&package.join("usr").join(MANUAL))?)?;
    for (from, to, is_program) in FILES {
        let to = package.join(to);
        copy(&root().join("packaging/deb").join(from), &to)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(if is_program { 0o755 } else { 0o644 }))?;
    }
    let size = installed_kibibytes(&package)?;
    let values = [("VERSION", VERSION), ("DEPENDS", &depends), ("INSTALLED_SIZE", &size)];
    write(&package.join("DEBIAN/control"), &fill_in("deb/control", &values)?)?;
    sums(&package)?;
    run(program("chmod").args(["--recursive", "u=rwX,go=rX"]).arg(&package))?;
    let mut deb = program("dpkg-deb");
    deb.args(["--root-owner-group", "-Zxz", "--build"]).arg(&package);
    deb.arg(dist.join(format!("carafe_{VERSION}_amd64.deb"))).stdout(std::io::stderr());
    run(deb.env("SOURCE_DATE_EPOCH", source_date()?))
}

/// What Debian wants to know of origins and changes, in the places and forms that it is looked for.
fn documents(folder: &Path) -> Result<()> {
    let read = |file: &str| fs::read_to_string(root().join(file)).with_context(|| format!("failed to read `{file}`"));
    write(&folder.join("copyright"), &fill_in("deb/copyright", &[])?)?;
    // Debian has this text already, and `copyright` names the place.
    fs::remove_file(folder.join("LICENSE"))?;
    write(&folder.join("NEWS.md"), &read("CHANGELOG.md")?)?;
    let date = output(program("date").args(["--utc", "--rfc-email", "--date"]).arg(format!("@{}", source_date()?)))?;
    write(&folder.join("changelog"), &fill_in("deb/changelog", &[("VERSION", VERSION), ("DATE", &date)])?)?;
    compress(&["NEWS.md", "changelog", "LICENCES-OF-CRATES.txt"].map(|file| folder.join(file)))
}

fn compress(files: &[PathBuf]) -> Result<()> {
    run(program("gzip").args(["--no-name", "-9"]).args(files))
}

fn installed_kibibytes(package: &Path) -> Result<String> {
    let said = output(program("du").args(["--summarize", "--apparent-size", "--block-size=1024"]).arg(package))?;
    Ok(said.split_whitespace().next().unwrap_or_default().to_owned())
}

/// The sums that `dpkg --verify` compares with.
fn sums(package: &Path) -> Result<()> {
    let sums = "find usr -type f -print0 | sort --zero-terminated | xargs --null md5sum";
    let lines = output(program("sh").args(["-c", sums]).current_dir(package))? + "\n";
    write(&package.join("DEBIAN/md5sums"), &lines)
}
