//! Tests of the command line against the operator API over real HTTP.

use super::*;
use crate::api::tests::{Rig, World};
use clap::Parser as _;

async fn admin(rig: &Rig, words: &str) -> Told {
    let token_file = rig.folder.path().join("operator.key");
    let token_file = token_file.to_str().unwrap();
    let reach = ["admin", "--url", &rig.ops, "--token-file", token_file, "--operator", "ann"];
    let words = words.split(' ').filter(|word| !word.is_empty());
    execute(Args::try_parse_from(reach.into_iter().chain(words)).unwrap()).await.unwrap()
}

#[tokio::test]
async fn accounts_are_looked_at_and_statements_settled_from_the_command_line() {
    let rig = World::new().serve().await;
    for (words, last) in [
        ("account list", "1 accounts"),
        ("account find p1 u-1", "1 accounts"),
        ("account entries 00000000000000000000000000000000 --limit 5", "0 entries"),
        ("account show 00000000000000000000000000000000", "account shown"),
        ("statement list p1", "1 statements"),
        ("statement show p1 2026-01-01", "statement 2026-01-01 is stated"),
        ("statement lines p1 2026-01-01 --limit 5", "0 lines"),
        ("statement disputes p1 2026-01-01", "0 disputes"),
        ("statement settle p1 2026-01-01 --note paid", "statement 2026-01-01 is stated"),
        ("statement paper p1 2026-01-01 invoice --reference I-1 --minor 500", "invoice I-1 noted"),
        (
            "statement resolve p1 2026-01-01 00000000-0000-0000-0000-000000000001 --note sorry --service -5",
            "dispute resolved; 0 are open",
        ),
        ("statement rules p1", "0 revenue rules"),
        (
            "statement share p1 --from 2026-01-01T00:00:00Z --share p1=2500 --remainder us",
            "orders of p1 are shared so from 2026-01-01T00:00:00.000Z on",
        ),
    ] {
        let told = admin(&rig, words).await;
        assert_eq!((told.good, told.lines.last().map(String::as_str)), (true, Some(last)), "{words}");
    }
}

#[tokio::test]
async fn operators_tickets_the_trail_and_what_waits_are_handled_from_the_command_line() {
    let rig = World::new().serve().await;
    let erase = "partner erase-user p1 u-1";
    for (words, last) in [
        ("partner add p1 --name One", "partner p1 set"),
        ("operator add ada --name Ada --role support --role finance", "operator ada set: [\"support\",\"finance\"]"),
        ("operator list", "1 operators"),
        ("operator show ada", "operator ada shown"),
        ("operator suspend ada --reason left", "operator ada suspended: its tokens open nothing"),
        ("operator resume ada", "operator ada may act again"),
        ("ticket list --open true --code quarantined", "1 tickets"),
        ("tickets", "1 tickets"),
        ("ticket list --code x", "0 tickets"),
        ("ticket show t1", "ticket is open; its cause: still_there"),
        ("ticket assign t1 ada", "ticket assigned to ada"),
        ("ticket note t1 called", "noted"),
        ("ticket close t1 --reason done", "ticket is closed; its cause: still_there"),
        (erase, "another operator has to agree until 2026-01-01T00:00:00.000Z: `chargeline admin approval approve a1`"),
        ("approval list", "1 acts wait for a second person"),
        ("approval withdraw a1", "it is withdrawn"),
        ("audit --verify", "9 lines looked at"),
        ("audit --actor root/ann --limit 3", "3 lines"),
    ] {
        let told = admin(&rig, words).await;
        let said = told.lines.last().map(String::as_str).unwrap_or_default();
        let same = said == last || (words == erase && said.ends_with("approval approve a1`"));
        assert!(told.good && same, "{words}: {told:?}");
    }
    let made = admin(&rig, "operator token add ada --label laptop").await;
    let line = made.lines.iter().find(|line| line.starts_with("token: co_")).unwrap();
    assert!(line.ends_with("(shown once: keep it)"), "{made:?}");
    let token = line.strip_prefix("token: ").unwrap().split(' ').next().unwrap();
    let file = rig.folder.path().join("ada.key");
    std::fs::write(&file, token).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let own = async |words: &str| {
        let reach = ["admin", "--url", &rig.ops, "--token-file", file.to_str().unwrap()];
        execute(Args::try_parse_from(reach.into_iter().chain(words.split(' '))).unwrap()).await.unwrap()
    };
    let approve = "account approve 00000000000000000000000000000000 00000000-0000-7000-8000-000000000001";
    assert_eq!(own(approve).await.lines.last().map(String::as_str), Some("adjustment booked"));
    assert!(own("ticket note t1 mine").await.good, "no name is said beside one's own token");
    assert!(own("--operator bob ticket note t1 mine").await.lines.last().unwrap().contains("operator_name"));
    let refused = own("operator list").await;
    assert!(!refused.good && refused.lines[0].contains("(allowed: administrator)"), "{refused:?}");
}

#[tokio::test]
async fn what_is_agreed_in_tcec_is_set_shown_and_rotated() {
    let rig = World::new().serve().await;
    for (words, last) in [
        ("partner add p1 --name One", "partner p1 set"),
        (
            "partner tcec p1 set {\"operator_id\":\"123456789\",\"own_id\":\"987654321\",\"base_url\":\"https://p.example/evcs/v1\",\"outbound\":{\"operator_secret\":\"s\",\"data_secret\":\"1234567890abcdef\",\"data_secret_iv\":\"1234567890abcdef\",\"sig_secret\":\"g\"}}",
            "T/CEC 102 set for operator 123456789",
        ),
        ("partner tcec p1 show", "operator 123456789 at https://p.example/evcs/v1"),
        ("partner tcec p1 secrets --overlap-s 60", "new secrets made; the old ones count too for 60 s"),
    ] {
        let told = admin(&rig, words).await;
        assert_eq!((told.good, told.lines.last().map(String::as_str)), (true, Some(last)), "{words}: {told:?}");
    }
}

#[tokio::test]
async fn each_command_reaches_the_server_and_ends_with_what_happened() {
    let world = World::new();
    let rig = world.serve().await;
    world.runtime.quarantine("charger/CP2");
    for (words, last) in [
        ("site set S1 --name Home --position 31.2,-121.4 --time-zone Asia/Shanghai", "site S1 set"),
        ("site list", "1 sites"),
        ("charger add CP9 --site S1 --connectors 2", "charger CP9 registered"),
        ("charger list --limit 1", "1 chargers"),
        ("charger show CP9", "charger CP9 shown"),
        ("charger command CP9 Reset {\"type\":\"Soft\"}", "command 00000000-0000-0000-0000-000000000007 to CP9 taken"),
        ("charger command-show CP9 00000000-0000-0000-0000-000000000007", "command is Accepted"),
        (
            "charger lock CP9 2 raise",
            "command 00000000-0000-0000-0000-000000000008 to CP9 taken: `charger show CP9` tells what the lock does",
        ),
        (
            "charger rotate-key CP9",
            "command 00000000-0000-0000-0000-000000000007 to CP9 taken: the old password counts until the new one was used",
        ),
        ("charger maintenance CP9 true --note broken", "charger CP9 taken out of service"),
        ("partner add p1 --name One --webhook https://example.com/hook --events session.ended", "partner p1 set"),
        ("partner list", "1 partners"),
        ("partner show p1", "partner p1 shown"),
        ("partner secret p1 --overlap-s 60", "new signing secret made; the old one signs too for 60 s"),
        ("partner webhook p1 disable", "webhook disabled"),
        ("partner webhook p1 enable", "webhook enabled"),
        ("partner webhook p1 show", "0 events wait"),
        ("partner webhook p1 dead-letters", "0 dead letters"),
        ("partner webhook p1 deliveries --limit 5", "0 attempts"),
        ("partner replay p1 --event evt_1 --event evt_2", "2 events sent again"),
        ("partner add p1 --name One --accounts true", "partner p1 set"),
        ("account block 00000000000000000000000000000000 --reason fraud", "user blocked"),
        ("account unblock 00000000000000000000000000000000 --rule failed_starts", "rule failed_starts lifted"),
        ("account credit 00000000000000000000000000000000 --minor 500", "credit limit set"),
        (
            "account coupon 00000000000000000000000000000000 --code C1 --percent 10 --from 2026-01-01T00:00:00Z --until 2026-02-01T00:00:00Z",
            "coupon C1 given",
        ),
        (
            "account propose 00000000000000000000000000000000 --minor -5 --reason meter",
            "proposed: Done; another person approves it",
        ),
        (
            "account withdraw 00000000000000000000000000000000 00000000-0000-7000-8000-000000000001",
            "adjustment dropped",
        ),
        ("ledger-verify", "1 accounts, 2 entries, 0 problems"),
        ("token set 04A1B2 --status Blocked", "token set to Blocked"),
        ("session list --open true --charger CP1 --limit 5", "0 sessions"),
        ("tickets", "1 tickets"),
        ("alerts", "0 alerts"),
        ("quarantine list", "1 entities in quarantine"),
        ("quarantine release charger/CP2", "charger/CP2 released"),
        ("journal backup monday", "journal backed up as monday"),
        ("journal compact", "journal compacted"),
        ("journal stats", "journal statistics shown"),
    ] {
        let told = admin(&rig, words).await;
        assert_eq!((told.good, told.lines.last().map(String::as_str)), (true, Some(last)), "{words}: {told:?}");
    }
}

#[tokio::test]
async fn webhook_endpoints_are_set_shown_asked_and_removed() {
    let rig = World::new().serve().await;
    admin(&rig, "partner add p1 --name One --webhook https://example.com/hook").await;
    for (words, last) in [
        ("partner webhook p1 verify", "endpoint asked"),
        ("partner webhook p1 vouch", "endpoint verified by hand"),
        (
            "partner webhook p1 --endpoint west set --to https://example.com/w --sites S1 --sites S2 --events all",
            "endpoint west set",
        ),
        ("partner webhook p1 --endpoint west set --sites all", "endpoint west set"),
        ("partner webhook p1 list", "2 endpoints"),
        ("partner webhook p1 --endpoint west show", "0 events wait"),
        ("partner webhook p1 --endpoint west deliveries", "0 attempts"),
        ("partner secret p1 --endpoint west --overlap-s 0", "new signing secret made; the old one signs too for 0 s"),
        ("partner replay p1 --endpoint west --event evt_1", "1 events sent again"),
        ("partner webhook p1 --endpoint west remove", "endpoint removed with 0 events that waited and 0 dead letters"),
    ] {
        let told = admin(&rig, words).await;
        assert_eq!((told.good, told.lines.last().map(String::as_str)), (true, Some(last)), "{words}: {told:?}");
    }
}

#[tokio::test]
async fn a_commands_payload_may_be_in_a_file() {
    let rig = World::new().serve().await;
    let file = rig.folder.path().join("list.json");
    std::fs::write(&file, r#"{"updateType": "Full", "localAuthorizationList": []}"#).unwrap();
    let told = admin(&rig, &format!("charger command CP1 SendLocalList @{}", file.display())).await;
    assert!(told.good, "{told:?}");
    for (given, said) in [("@/nowhere/list.json", "cannot be read"), ("{", "is no JSON")] {
        let error = payload_of(given).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn keys_are_made_shown_once_and_revoked() {
    let rig = World::new().serve().await;
    admin(&rig, "partner add p1 --name One").await;
    let made = admin(&rig, "partner key p1").await;
    let secret = made.lines.iter().find(|line| line.starts_with("secret: cs_"));
    assert!(secret.is_some_and(|line| line.contains("shown once")), "{made:?}");
    let id = made.lines.iter().find_map(|line| line.strip_prefix("key_id: ")).unwrap();
    assert_eq!(made.lines.last(), Some(&format!("key {id} made")));
    let revoked = admin(&rig, &format!("partner key p1 --revoke {id}")).await;
    assert_eq!(revoked.lines.last(), Some(&format!("key {id} revoked")));
}

#[tokio::test]
async fn what_is_refused_is_told_with_its_details_and_a_bad_status() {
    let rig = World::new().serve().await;
    let told = admin(&rig, "charger add CP9 --site S1 --password short").await;
    assert!(!told.good && told.lines[0].starts_with("  password: is too short"), "{told:?}");
    assert!(told.lines[1].starts_with("failed: ") && told.lines[1].ends_with("(invalid_field, HTTP 400)"), "{told:?}");
    let told = admin(&rig, "session show 00000000-0000-7000-8000-000000000000").await;
    assert!(!told.good && told.lines[0].ends_with("(session_unknown, HTTP 404)"), "{told:?}");
}

#[tokio::test]
async fn configurations_come_from_files() {
    let rig = World::new().serve().await;
    let file = rig.folder.path().join("a.toml");
    std::fs::write(&file, "[api]\n").unwrap();
    let apply = format!("config apply {}", file.display());
    assert_eq!(admin(&rig, &apply).await.lines.last().unwrap(), "applied as version 1");
    assert_eq!(admin(&rig, "config rollback 1").await.lines.last().unwrap(), "rolled back to version 1, now version 2");
    let shown = admin(&rig, "config show").await;
    assert_eq!(shown.lines.last().unwrap(), "version 2 is in force");
    assert!(shown.lines.iter().any(|line| line.contains("by=root/ann")), "the operator's name arrives: {shown:?}");
    assert!(admin(&rig, "--json config show").await.lines[0].starts_with('{'));
}

#[test]
fn what_a_charger_says_cannot_steer_the_terminal() {
    assert_eq!(plain(&json!("a\u{1b}[31m\nb")), "a\u{fffd}[31m\u{fffd}b");
}

#[test]
fn the_arguments_are_well_formed() {
    use clap::CommandFactory as _;
    Args::command().debug_assert();
    for bad in
        ["partner replay p1", "partner replay p1 --all-dead --event e", "token set a/b", "charger add a.b --site S1"]
    {
        assert!(Args::try_parse_from(["admin"].into_iter().chain(bad.split(' '))).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn tariffs_are_published_rolled_out_and_taken_from_files() {
    let rig = World::new().serve().await;
    let file = rig.folder.path().join("tariff.json");
    let slice = json!({"name": "flat", "from": "00:00", "to": "24:00", "electricity": 12000});
    let tariff = json!({"id": "t1", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice]});
    std::fs::write(&file, tariff.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let ocpi = rig.folder.path().join("ocpi.json");
    let component = json!({"type": "ENERGY", "price": 0.25, "step_size": 1});
    let object = json!({"id": "x", "currency": "EUR", "elements": [{"price_components": [component]}]});
    std::fs::write(&ocpi, json!({"tariff": object}).to_string()).unwrap();
    let ocpi = ocpi.to_str().unwrap();
    for (words, last) in [
        (format!("tariff check t1 {file}"), "tariff t1 is good"),
        (format!("tariff publish t1 {file}"), "tariff t1 published as version 1; in force nowhere yet"),
        (format!("tariff publish t1 {file}"), "tariff t1 published as version 2; in force nowhere yet"),
        ("tariff roll-out t1 1".into(), "version 1 of tariff t1 rolled out"),
        ("tariff roll-out t1 2 --site S1 --site S2".into(), "version 2 of tariff t1 rolled out"),
        ("tariff at S1 --at 2030-01-01T00:00:00Z".into(), "tariff t1 version 2 is in force"),
        ("tariff roll-back t1 --site S1".into(), "tariff t1 rolled back"),
        ("tariff at S1".into(), "tariff t1 version 1 is in force"),
        ("tariff list".into(), "1 tariffs"),
        ("tariff show t1".into(), "tariff t1 shown"),
        ("tariff show t1 --version 1".into(), "version 1 of tariff t1 shown"),
        ("tariff export t1".into(), "tariff t1 shown as OCPI"),
        (format!("tariff import t2 {ocpi} --time-zone Europe/Berlin --check"), "tariff t2 is good"),
        (format!("tariff import t2 {ocpi} --time-zone Europe/Berlin"), "tariff t2 published as version 1"),
    ] {
        let told = admin(&rig, &words).await;
        assert_eq!((told.good, told.lines.last().map(String::as_str)), (true, Some(last)), "{words}: {told:?}");
    }
}
