//! Assets that were declared by hand.

use bartizan_core::asset::{Asset, Class, Life};
use bartizan_core::error;
use bartizan_core::id::{AssetId, PersonId};
use bartizan_core::selector::Labels;
use bartizan_core::time::Timestamp;
use bartizan_store::Store;
use bartizan_store::asset::Batch;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn asset(seed: u8, name: &str) -> Asset {
    Asset {
        id: AssetId::mint(NOW, [seed; 10]),
        number: 0,
        name: name.to_owned(),
        class: Class::Database,
        service: "shop".to_owned(),
        environment: "prod".to_owned(),
        labels: Labels::from([("vendor".to_owned(), "oracle".to_owned())]),
        life: Life::Declared,
        enrolled_at: NOW,
    }
}

pub(crate) async fn declared_assets_are_listed_until_they_are_retired(store: Store) {
    let by = PersonId::mint(NOW, [1; 10]);
    let declared = store.declare_assets(vec![asset(2, "ora-1"), asset(3, "ora-2")], by, NOW).await.unwrap();
    assert_eq!(store.assets(None, 10).await.unwrap(), declared);
    assert_ne!(declared[0].number, declared[1].number);
    assert!(declared.iter().all(|asset| asset.life == Life::Declared));
    // All of them or none, and no two of one name.
    let refused = store.declare_assets(vec![asset(4, "ora-3"), asset(5, "ora-1")], by, NOW).await;
    assert_eq!(refused.unwrap_err().class(), error::Class::Conflict);
    assert_eq!(store.assets(None, 10).await.unwrap().len(), 2);
    assert_eq!(store.declared_assets().await.unwrap(), 2);
    let retire = Batch { lives: vec![(declared[0].clone(), Life::Retired)], ..Batch::default() };
    store.commit_assets(&retire, NOW).await.unwrap();
    let again = store.declare_assets(vec![asset(6, "ora-1")], by, NOW).await.unwrap();
    assert_eq!(again[0].number, declared[1].number + 1, "a number is never given twice");
    assert_eq!(store.staged().await.unwrap(), 4, "each is an entry of the ledger");
}
