//! The image: linted, built without an engine, and run as an orchestrator would, with everything taken away from it.
//!
//! There is no registry here, so the first stage, which compiles, is not run: the binary of the tests stands in for it, and
//! the same Debian packages for the distroless base. Needs root, to mount and to change the root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use warmup_support::{
    day::MASTER_KEY,
    world::{self, eventually},
};

use super::tools::{command, outcome, path, printed, read, tool};

const BINARY: &str = env!("CARGO_BIN_EXE_warmup");
const PATIENCE: Duration = Duration::from_secs(30);

/// In a mount namespace of its own: the root read-only, every capability gone but those that the change of user needs.
const ENTER: &str = r#"mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" &&
    exec setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid \
        chroot --userspec=65532:65532 --groups= "$0" "$@""#;

/// Images in a folder of their own.
struct Store {
    folder: TempDir,
}

impl Store {
    fn new() -> Store {
        Store { folder: TempDir::new().unwrap() }
    }

    fn buildah(&self, args: &[&str]) -> Command {
        let mut buildah = command("buildah");
        let folder = |name: &str| self.folder.path().join(name);
        buildah.arg("--root").arg(folder("root")).arg("--runroot").arg(folder("run"));
        buildah.args(["--storage-driver", "vfs", "--registries-conf", "/dev/null"]).args(args);
        buildah
    }

    fn build(&self, image: &str, file: &Path, context: &Path, more: &[String]) {
        let mut build =
            self.buildah(&["build", "--quiet", "--isolation", "chroot", "--format", "docker", "--tag", image]);
        printed(build.args(more).arg("--file").arg(file).arg(context));
    }

    /// Builds the last stage of deploy/Dockerfile and returns where its files are.
    fn image(&self) -> PathBuf {
        let base = self.folder.path().join("base");
        fs::write(&base, "FROM scratch\nCOPY . /\n").unwrap();
        self.build("localhost/base", &base, &path("target/tools/base"), &[]);
        let built = self.folder.path().join("built");
        fs::create_dir(&built).unwrap();
        // Without what is for debuggers it is a third as large, and copied many times.
        printed(command("strip").arg("-o").arg(built.join("warmup")).arg(BINARY));
        let more = [format!("--build-context=build={}", built.display()), "--build-arg=BASE=localhost/base".to_owned()];
        self.build("localhost/warmup", &path("deploy/Dockerfile"), &path(""), &more);
        let container = printed(&mut self.buildah(&["from", "localhost/warmup"]));
        PathBuf::from(printed(&mut self.buildah(&["mount", container.trim()])).trim())
    }

    /// What the image says of itself.
    fn config(&self) -> serde_json::Value {
        let told = printed(&mut self.buildah(&["inspect", "--type", "image", "localhost/warmup"]));
        serde_json::from_str::<serde_json::Value>(&told).unwrap()["Docker"]["config"].take()
    }
}

/// A command in the image, with nothing in its environment.
fn inside(root: &Path, args: &[&str]) -> Command {
    let mut unshare = command("/usr/bin/unshare");
    unshare.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    unshare.args(["--mount", "sh", "-c", ENTER]).arg(root).arg("/usr/local/bin/warmup").args(args);
    unshare
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn hadolint_has_nothing_to_say() {
    assert_eq!(printed(tool("python/bin/hadolint").arg("deploy/Dockerfile")), "");
}

#[test]
fn the_image_is_compiled_by_the_toolchain_of_the_package() {
    let toolchain = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(read("deploy/Dockerfile").contains(&toolchain), "deploy/Dockerfile: {toolchain}");
}

#[test]
fn a_fault_in_the_dockerfile_is_found() {
    let folder = TempDir::new().unwrap();
    let wrong = folder.path().join("Dockerfile");
    fs::write(&wrong, "FROM debian:latest\nRUN cd /tmp && sudo apt-get install curl\n").unwrap();
    let (well, out, _) = outcome(tool("python/bin/hadolint").arg(&wrong));
    assert!(!well && out.contains("DL3007") && out.contains("DL3004"), "{out}");
}

/// The builder is sent what compiles the binary: Cargo can read it, and every file that the code includes is there.
#[test]
fn the_builder_is_sent_all_that_compiles_and_no_secret() {
    let store = Store::new();
    let file = store.folder.path().join("context");
    fs::write(&file, "FROM scratch\nCOPY . /src/\n").unwrap();
    let ignored = format!("--ignorefile={}", path(".dockerignore").display());
    store.build("localhost/context", &file, &path(""), &[ignored]);
    let container = printed(&mut store.buildah(&["from", "localhost/context"]));
    let root = PathBuf::from(printed(&mut store.buildah(&["mount", container.trim()])).trim()).join("src");
    let mut cargo = command(env!("CARGO"));
    printed(cargo.current_dir(&root).args(["metadata", "--locked", "--offline", "--format-version=1", "--no-deps"]));
    let mut sent: Vec<String> =
        fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    sent.sort();
    assert_eq!(sent, ["Cargo.lock", "Cargo.toml", "benches", "lua", "migrations", "src", "tests"]);
    let mut included = 0;
    for (file, named) in includes(&root.join("src")) {
        assert!(file.parent().unwrap().join(&named).is_file(), "{} includes {named}", file.display());
        included += 1;
    }
    assert!(included > 10, "{included} files are included");
}

/// Every file of the code with each path that it includes.
fn includes(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(includes(&path));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let named = text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(named.map(|named| (path.clone(), named.to_owned())));
        }
    }
    found
}

#[tokio::test]
async fn the_image_runs_as_nobody_on_a_root_that_cannot_be_written() {
    let store = Store::new();
    let root = store.image();
    let config = store.config();
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/local/bin/warmup"]));
    assert_eq!(config["Healthcheck"]["Test"], serde_json::json!(["CMD", "/usr/local/bin/warmup", "healthcheck"]));
    assert_eq!(config["Env"][1], "WARMUP_HTTP_ADDR=0.0.0.0:8080");
    assert!(printed(&mut inside(&root, &["--version"])).starts_with("warmup "));
    assert!(printed(&mut inside(&root, &["config", "check"])).contains("no fault"));

    let (database, redis) = tokio::join!(world::postgres(), world::redis());
    // The port of a test is never fixed; this one is taken from the kernel, and free again for a moment.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let with_services = |args: &[&str]| {
        let mut command = inside(&root, args);
        command.env("DATABASE_URL", database.url()).env("REDIS_URL", redis.url());
        command.env("WARMUP_MASTER_KEY", MASTER_KEY).env("WARMUP_HTTP_ADDR", &address);
        command
    };
    printed(&mut with_services(&["migrate"]));
    let (well, _, said) = outcome(&mut with_services(&["healthcheck"]));
    assert!(!well && said.contains("is `warmup run` there?"), "{said}");
    let mut worker = Running(with_services(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually(PATIENCE, async || outcome(&mut with_services(&["healthcheck", "--ready"])).0).await;
    assert_eq!(printed(&mut with_services(&["healthcheck"])), "ok\n");
    confined(worker.0.id());
    kill_process(Pid::from_child(&worker.0), Signal::TERM).unwrap();
    assert!(worker.0.wait().unwrap().success());
}

/// Asks the kernel what the process may.
fn confined(pid: u32) {
    let of_kernel = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let status = of_kernel("status");
    let said = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert!(said("Uid:").split_whitespace().all(|id| id == "65532"), "{status}");
    assert_eq!([said("CapEff:"), said("CapPrm:")], ["0000000000000000"; 2]);
    assert_eq!(said("NoNewPrivs:"), "1");
    let mounts = of_kernel("mountinfo");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");
}
