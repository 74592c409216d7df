//! Where Carafe runs. Every program of this project, `xtask` among them, is built with this crate,
//! so a build elsewhere ends here, with the sentence that says so.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "Carafe runs on Linux x86-64 (WSL2 should work, but is untested). There is no ARM, no macOS and no native Windows yet."
);
