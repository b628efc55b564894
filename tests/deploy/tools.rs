//! The programs that `scripts/tools.sh` fetched, and what they say.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// A path of this repository.
pub fn path(within: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(within)
}

/// A file of this repository.
pub fn read(within: &str) -> String {
    std::fs::read_to_string(path(within)).unwrap_or_else(|error| panic!("{within}: {error}"))
}

/// A command that runs `name` of target/tools in the repository.
pub fn tool(name: &str) -> Command {
    let program = path("target/tools").join(name);
    assert!(program.is_file(), "{} is missing: scripts/tools.sh", program.display());
    command(program)
}

/// A command that runs `program` in the repository.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(path("")).stdin(Stdio::null());
    command
}

/// Runs to the end and returns whether it went well, and what was printed and said.
pub fn outcome(command: &mut Command) -> (bool, String, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/setup.sh test-all"));
    let [out, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), out, said)
}

/// Runs to the end, which must be a good one, and returns what was printed.
pub fn printed(command: &mut Command) -> String {
    let (well, out, said) = outcome(command);
    assert!(well, "{command:?}\n{out}{said}");
    out
}

/// Reads the documents of a YAML file as everybody does who is not YAML's author.
pub fn yaml(text: &str) -> Vec<Value> {
    const AS_JSON: &str =
        "import json, sys, yaml; json.dump([d for d in yaml.safe_load_all(sys.stdin) if d], sys.stdout)";
    let mut python = tool("python/bin/python");
    let mut child = python.args(["-c", AS_JSON]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "no YAML:\n{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}
