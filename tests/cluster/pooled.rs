//! Through PgBouncer in transaction mode, which is restarted in the middle of transactions.

use std::time::Duration;

use jiff::Timestamp;

use super::bouncer::Bouncer;
use super::cluster::Cluster;
use super::deaths::late;
use super::postgres::Server;
use super::rig::{looping, soon, wait_for};

#[test]
fn through_a_pooler_that_is_restarted_everything_is_as_without() {
    let Some(server) = Server::start() else { return };
    let Some(mut bouncer) = Bouncer::start(&server) else { return };
    let cluster = Cluster::on(vec![server], Vec::new());
    let direct = cluster.server(0).url();
    for node in &cluster.nodes {
        node.databases[0].point_at(bouncer.address());
        // The tables are made and changed past it.
        node.rig.write("migrate-url", &direct);
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(node.rig.path("migrate-url"), private).expect("our own file");
        let settings = std::fs::read_to_string(node.rig.path("ingestd.yaml")).expect("it was written");
        node.rig.write("ingestd.yaml", &settings.replace("database-url }", "database-url }, migrate: { file: migrate-url }"));
    }
    let first = soon(20);
    let at = |number: u32| first + Duration::from_secs(u64::from(number));
    let names: Vec<String> = (0..20).map(|number| format!("show-{number:02}")).collect();
    let jobs = |number: u32| looping(&names[number as usize], at(number), "5s");
    cluster.jobs(&(0..20).map(jobs).collect::<String>());
    cluster.started();
    // A claim, a start, an answer and an end fall on each second.
    wait_for(at(4));
    for _ in 0..5 {
        bouncer.restart();
        wait_for(Timestamp::now() + Duration::from_millis(1_730));
    }
    let planned: Vec<(&str, Timestamp)> = (0..20).map(|number| (names[number as usize].as_str(), at(number))).collect();
    for row in cluster.judge(&planned) {
        assert!(row.on_air_ms.is_some() && late(&row) < Duration::from_secs(2), "{row:?}");
    }
}
