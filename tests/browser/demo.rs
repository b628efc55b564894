//! `warmup demo` says where its dashboard is, with a token, and the page shows the compressed day.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{script::Script, stage::PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_tells_its_address_and_its_day_is_seen_passing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
    command.args(["demo", "--mailboxes", "12", "--speed", "300"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut demo = command.spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let told = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the demo tells its address");
            if let Some((_, address)) = line.split_once("Watch it, while it runs: ") {
                return address.to_owned();
            }
        }
    };
    let address = timeout(PATIENCE, told).await.expect("the demo tells its address early");
    Script::start("demo", &[("URL", &address)]).ends_well().await;
}
