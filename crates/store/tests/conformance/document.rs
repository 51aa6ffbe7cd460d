//! Policy documents on every engine.

use bartizan_core::document;
use bartizan_core::id::PersonId;
use bartizan_store::Store;
use bartizan_store::document::Edit;
use bartizan_store::person::By;

use super::suite::NOW;

pub(crate) async fn documents_are_put_deleted_and_digested(store: Store) {
    let text = "kind: Route\nname: main\nspec: {a: 1}\n---\nkind: Route\nname: other\nspec: {}\n";
    let documents = document::parse("routes.yaml", text).unwrap();
    let empty = store.documents_etag("dev").await.unwrap();
    let edits: Vec<Edit> = documents.iter().cloned().map(|document| Edit::Put(Box::new(document))).collect();
    let by = PersonId::mint(NOW, [5; 10]);
    store.edit_documents("dev", &edits, Some(By { person: by, salt: [5; 32] }), NOW).await.unwrap();
    assert!(store.documents("dev").await.unwrap().iter().all(|held| held.by == Some(by)));
    store.edit_documents("dev", &edits, None, NOW).await.unwrap();
    assert!(store.documents("dev").await.unwrap().iter().all(|held| held.by.is_none()));
    let held = store.documents("dev").await.unwrap();
    assert_eq!(held.len(), 2);
    assert_eq!(held[0].document.digest, documents[0].digest);
    let full = store.documents_etag("dev").await.unwrap();
    assert_ne!(full, empty);
    let delete = |name: &str| Edit::Delete { kind: "Route".to_owned(), name: name.to_owned() };
    store.edit_documents("dev", &[delete("main"), delete("other")], None, NOW).await.unwrap();
    assert_eq!(store.documents_etag("dev").await.unwrap(), empty);
    assert!(store.documents_of_kind("Route").await.unwrap().is_empty());
}
