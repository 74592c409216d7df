//! An installation: a program that works from any folder, after this source tree is gone.
//!
//! ```text
//! PREFIX/bin/carafe
//! PREFIX/lib/carafe/libcarafe_openvino.so the native layer
//! PREFIX/lib/carafe/openvino/libs/       OpenVINO's libraries, or with the tools a link to them
//! PREFIX/lib/carafe/tools/               the conversion tools' Python environment
//! PREFIX/share/carafe/models/NAME/       the bundled models; models that were pulled may lie beside them
//! PREFIX/share/carafe/installed.txt      what was installed (`record`)
//! PREFIX/share/man/man1/, PREFIX/share/bash-completion/, …
//! ```
//!
//! The program finds all of it by its own place (`carafe-cli`'s `machine`).

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context, Result, ensure};
use carafe_openvino::Search;

use crate::native;
use crate::setup;
use crate::shell::{long_step, output, program, report, root, run, step, watch};
use crate::show;
use record::{RECORD, Record};

mod record;

/// The program.
pub(crate) const PROGRAM: &str = "bin/carafe";
/// The folder with OpenVINO's `libs`.
pub(crate) const OPENVINO: &str = "lib/carafe/openvino";
/// Where the native layer is.
pub(crate) const LAYER_FOLDER: &str = "lib/carafe";
const TOOLS: &str = "lib/carafe/tools";
/// The bundled models.
pub(crate) const MODELS: &str = "share/carafe/models";
/// Manual pages.
pub(crate) const MANUAL: &str = "share/man/man1";
/// Shells with the place of their completions.
pub(crate) const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/carafe"),
    ("zsh", "share/zsh/site-functions/_carafe"),
    ("fish", "share/fish/vendor_completions.d/carafe.fish"),
];
/// What of the wheel runs graphs in OpenVINO's own format on a processor.
const LIBRARIES: [&str; 7] = [
    "libhwloc.so",
    "libopenvino.so",
    "libopenvino_intel_cpu_plugin.so",
    "libopenvino_ir_frontend.so",
    "libtbb.so",
    "libtbbbind",
    "libtbbmalloc.so",
];

/// Builds and installs everything.
pub(crate) fn install(prefix: Option<&Path>, with_tools: bool) -> Result<()> {
    let prefix = prefix_or_home(prefix)?;
    show::build()?;
    if prefix.join(RECORD).exists() {
        step("remove the earlier installation", || record::remove(&prefix))?;
    }
    let mut installation = Installation { prefix: &prefix, record: Record::begin(&prefix)? };
    if let Err(error) = installation.fill(with_tools) {
        record::remove(&prefix)?;
        return Err(error);
    }
    report(&format!("installed {}", prefix.join(PROGRAM).display()));
    if !env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|folder| folder == prefix.join("bin")) {
        report(&format!("`{}` is not in PATH", prefix.join("bin").display()));
    }
    Ok(())
}

/// Removes an installation.
pub(crate) fn uninstall(prefix: Option<&Path>) -> Result<()> {
    let prefix = prefix_or_home(prefix)?;
    ensure!(prefix.join(RECORD).exists(), "nothing is installed in `{}`: there is no `{RECORD}`", prefix.display());
    record::remove(&prefix)?;
    report(&format!("removed Carafe from {}", prefix.display()));
    Ok(())
}

/// An installation in the making.
struct Installation<'a> {
    prefix: &'a Path,
    record: Record<'a>,
}

impl Installation<'_> {
    fn fill(&mut self, with_tools: bool) -> Result<()> {
        step("install the program and the models", || {
            self.file(&built_program()?, PROGRAM)?;
            bundled_models()?.iter().try_for_each(|model| self.model(model))
        })?;
        if with_tools {
            let usually = "a download of some hundred megabytes, one to three minutes";
            long_step("install OpenVINO and the conversion tools", usually, || self.tools())?;
        } else {
            step("install OpenVINO", || self.libraries())?;
        }
        self.native_layer()?;
        step("install manual pages and completions", || self.manual())?;
        step("try it", || try_out(self.prefix))
    }

    /// The native layer, for the wheel that is installed, whatever else this machine has.
    fn native_layer(&mut self) -> Result<()> {
        setup::wheel()?;
        let search = Search { explicit: Some(openvino_of(&root().join(".venv"))?.join("libs")), ..Search::default() };
        let built = empty_folder("native")?;
        native::build_for(&search, &built)?;
        self.file(&built.join(native::LAYER), &format!("{LAYER_FOLDER}/{}", native::LAYER))
    }

    fn file(&mut self, from: &Path, to: &str) -> Result<()> {
        let to = self.record.file(to)?;
        fs::copy(from, &to).with_context(|| format!("failed to copy `{}` to `{}`", from.display(), to.display()))?;
        Ok(())
    }

    fn model(&mut self, folder: &Path) -> Result<()> {
        let name = name_of(folder);
        let place = |file: &Path| format!("{MODELS}/{name}/{}", name_of(file));
        files(folder)?.iter().try_for_each(|file| self.file(file, &place(file)))
    }

    /// The tools in an environment of their own, whose OpenVINO serves the program as well.
    fn tools(&mut self) -> Result<()> {
        let environment = self.record.tree(TOOLS)?;
        let python = environment.join("bin/python");
        output(program("python3").args(["-m", "venv"]).arg(&environment))?;
        let pip = ["-m", "pip", "install", "--disable-pip-version-check"];
        watch(program(&python).args(pip).args(["--require-hashes", "--requirement", setup::TOOLS]))?;
        watch(program(&python).args(pip).args(["--no-deps", "--no-build-isolation"]).arg(copy_of_tools()?))?;
        let link = self.record.file(OPENVINO)?;
        Ok(symlink(openvino_of(&environment)?, link)?)
    }

    /// OpenVINO's libraries alone, of the wheel, whatever else this machine has.
    fn libraries(&mut self) -> Result<()> {
        setup::wheel()?;
        let needed = needed_libraries(&openvino_of(&root().join(".venv"))?)?;
        needed.iter().try_for_each(|file| self.file(file, &format!("{OPENVINO}/libs/{}", name_of(file))))
    }

    fn manual(&mut self) -> Result<()> {
        let installed = self.prefix.join(PROGRAM);
        let pages = empty_folder("manual")?;
        run(program(&installed).arg("manual").arg(&pages))?;
        for page in files(&pages)? {
            self.file(&page, &format!("{MANUAL}/{}", name_of(&page)))?;
        }
        for (shell, place) in COMPLETIONS {
            let completions = output(program(&installed).args(["completions", shell]))?;
            fs::write(self.record.file(place)?, completions + "\n")?;
        }
        Ok(())
    }
}

/// Generates a little text with what was installed and nothing else.
fn try_out(prefix: &Path) -> Result<()> {
    let mut installed = program(prefix.join(PROGRAM));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARAFE_")) {
        installed.env_remove(name);
    }
    output(installed.current_dir(prefix).args(["generate", "--prompt", "Once upon a time", "--max-tokens", "4"]))?;
    Ok(())
}

fn prefix_or_home(prefix: Option<&Path>) -> Result<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".local"));
    let prefix = prefix.map(Path::to_owned).or_else(home).context("HOME is not set; name a --prefix")?;
    Ok(absolute(&prefix)?)
}

/// `carafe`, which cargo has put beside this program's own profile.
fn built_program() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own.ancestors().nth(2).context("a program of cargo's lies in target/PROFILE")?;
    Ok(target.join("release/carafe"))
}

/// The folders of the bundled models.
pub(crate) fn bundled_models() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root().join("models"))?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| path.join("model.toml").is_file()).collect())
}

/// Those of the libraries in OpenVINO's wheel that the program needs.
pub(crate) fn needed_libraries(openvino: &Path) -> Result<Vec<PathBuf>> {
    let all = files(&openvino.join("libs"))?;
    let is_needed = |file: &PathBuf| LIBRARIES.iter().any(|library| name_of(file).starts_with(library));
    Ok(all.into_iter().filter(is_needed).collect())
}

/// The folder of OpenVINO's wheel in an environment.
pub(crate) fn openvino_of(environment: &Path) -> Result<PathBuf> {
    let place = ["-c", "import pathlib, sysconfig; print(pathlib.Path(sysconfig.get_path('purelib')) / 'openvino')"];
    let wheel = PathBuf::from(output(program(environment.join("bin/python")).args(place))?);
    ensure!(wheel.join("libs").is_dir(), "`{}` has no OpenVINO in it", environment.display());
    Ok(wheel)
}

/// The tools' packages, apart from the source tree: building it leaves files behind.
pub(crate) fn copy_of_tools() -> Result<PathBuf> {
    let (from, to) = (root().join("tools"), empty_folder("tools")?);
    fs::copy(from.join("pyproject.toml"), to.join("pyproject.toml"))?;
    for folder in ["carafe_tools", "carafe_tools/data", "carafe_train"] {
        fs::create_dir(to.join(folder))?;
        for file in files(&from.join(folder))? {
            fs::copy(&file, to.join(folder).join(name_of(&file)))?;
        }
    }
    Ok(to)
}

/// A folder for what is made on the way.
fn empty_folder(name: &str) -> Result<PathBuf> {
    let folder = root().join("target/install").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("failed to make `{}`", folder.display()))?;
    Ok(folder)
}

/// The files in a folder, without those of its subfolders.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read `{}`", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
