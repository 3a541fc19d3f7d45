//! IPAM drivers.

use super::{Answers, LOOP, World, list, trouble};
use crate::wasm::Plugin;
use wharf_spi::ipam::{AddressPool, Lease, LeaseOwner, PoolRequest, PoolUsage};

const OPEN: &str = "driver@0.1.0#open-pool";
const ALLOCATE: &str = "driver@0.1.0#allocate";

fn owner() -> LeaseOwner {
    LeaseOwner { container: "c".to_owned(), ..LeaseOwner::default() }
}

fn pool() -> AddressPool {
    AddressPool { id: "p".to_owned(), subnet: "10.1.0.0/24".parse().unwrap(), gateway: None }
}

fn opening(id: &str, subnet: &str, gateway: &str) -> Answers {
    let mut answers = Answers::of(&["ipam"]);
    let texts: Vec<u8> = [id, subnet, gateway].iter().flat_map(|text| list(answers.place(text.as_bytes()), text.len())).collect();
    answers.answer(OPEN, &[&[0; 4][..], &texts].concat())
}

/// The bytes of `ok(lease)`: case at 0; pool, address, owner (five fields) at 8; expires at 64.
fn leasing(function: &str, pool: &str, address: &str, container: &str, expires: Option<u64>) -> Answers {
    let mut answers = Answers::of(&["ipam"]);
    let mut text = |text: &str| list(answers.place(text.as_bytes()), text.len());
    let head = [text(pool), text(address), text(container), vec![0; 32]].concat();
    let expires = [u64::from(expires.is_some()).to_le_bytes(), expires.unwrap_or(0).to_le_bytes()].concat();
    answers.answer(function, &[vec![0; 8], head, expires].concat())
}

async fn allocate(plugin: &Plugin, preferred: Option<&str>) -> wharf_types::Result<Lease> {
    let preferred = preferred.map(|address| address.parse().unwrap());
    plugin.ipam_driver().unwrap().allocate("k", &pool(), &owner(), preferred).await
}

#[tokio::test]
async fn pools_and_leases_come_back() {
    let world = World::new();
    let plugin = world.kind(&opening("p", "10.1.0.0/24", "10.1.0.254"), "").await;
    let driver = plugin.ipam_driver().unwrap();
    let opened = driver.open_pool("k", &PoolRequest { subnet: Some("10.1.0.0/24".parse().unwrap()), ..PoolRequest::default() }).await;
    assert_eq!(opened.unwrap(), AddressPool { gateway: Some("10.1.0.254".parse().unwrap()), ..pool() });
    driver.close_pool("k", &pool()).await.unwrap();
    assert_eq!(driver.usage(&pool()).await.unwrap(), PoolUsage { total: 0, used: 0 });

    let forever = world.kind(&leasing(ALLOCATE, "p", "10.1.0.7", "c", Some(i64::MAX as u64)), "").await;
    let lease = allocate(&forever, Some("10.1.0.7")).await.unwrap();
    assert!(lease.address.to_string() == "10.1.0.7" && lease.expires.is_some() && lease.owner == owner());
    let driver = forever.ipam_driver().unwrap();
    driver.release("k", &lease).await.unwrap();
    driver.reconcile(std::slice::from_ref(&lease)).await.unwrap();
    let renewing = world.kind(&leasing("driver@0.1.0#renew", "p", "10.1.0.7", "c", None), "").await;
    assert_eq!(renewing.ipam_driver().unwrap().renew(&lease).await.unwrap().expires, None);
}

#[tokio::test]
async fn pools_that_are_none_do_not_come_through() {
    let world = World::new();
    let any = PoolRequest::default();
    let one = PoolRequest { subnet: Some("10.1.0.0/24".parse().unwrap()), ..PoolRequest::default() };
    for (id, subnet, gateway, request) in [
        ("", "10.1.0.0/24", "", &any),
        ("p", "10.1.0.0", "", &any),
        ("p", "10.1.0.1/24", "", &any),
        ("p", "x", "", &any),
        ("p", "fd00::/64", "", &any),
        ("p", "10.1.0.0/25", "", &one),
        ("p", "10.1.0.0/24", "10.2.0.1", &any),
        ("p", "10.1.0.0/24", "first", &any),
    ] {
        let plugin = world.kind(&opening(id, subnet, gateway), "").await;
        let text = trouble(&plugin, plugin.ipam_driver().unwrap().open_pool("k", request).await);
        assert!(text.starts_with("it answered nonsense: "), "{id} {subnet} {gateway}: {text}");
    }
}

#[tokio::test]
async fn leases_that_are_none_do_not_come_through() {
    let world = World::new();
    for (pool, address, container, expires, preferred) in [
        ("q", "10.1.0.7", "c", None, None),
        ("p", "10.2.0.7", "c", None, None),
        ("p", "10.1.0.7/24", "c", None, None),
        ("p", "10.1.0.7", "other", None, None),
        ("p", "10.1.0.7", "c", Some(1), None),
        ("p", "10.1.0.7", "c", Some(u64::MAX), None),
        ("p", "10.1.0.7", "c", None, Some("10.1.0.8")),
    ] {
        let plugin = world.kind(&leasing(ALLOCATE, pool, address, container, expires), "").await;
        let text = trouble(&plugin, allocate(&plugin, preferred).await);
        assert!(text.starts_with("it answered nonsense: "), "{pool} {address}: {text}");
    }
    let used = [&[0; 8][..], &1u64.to_le_bytes(), &2u64.to_le_bytes()].concat();
    let plugin = world.kind(&Answers::of(&["ipam"]).answer("driver@0.1.0#usage", &used), "").await;
    assert_eq!(trouble(&plugin, plugin.ipam_driver().unwrap().usage(&pool()).await), "it answered nonsense: 2 of 1 addresses are used");
}

#[tokio::test]
async fn a_driver_that_fails_gives_no_address() {
    let world = World::new();
    for (body, expected) in [("unreachable", "it panicked (see its log)"), (LOOP, "it did not answer within 300ms")] {
        let plugin = world.kind(&Answers::of(&["ipam"]).body(ALLOCATE, body), "").await;
        assert_eq!(trouble(&plugin, allocate(&plugin, None).await), expected);
    }
}
