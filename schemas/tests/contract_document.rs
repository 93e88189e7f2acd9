//! The contract document says what the schemas say.

use std::path::Path;

#[test]
fn the_document_is_what_the_schemas_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contracts.md");
    let made = orderflow_schemas::document::markdown();
    if std::env::var_os("ORDERFLOW_UPDATE_CONTRACTS").is_some() {
        std::fs::write(&file, &made).expect("docs/ can be written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = made.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    assert_eq!(
        differs, None,
        "docs/contracts.md is out of date; write it anew as its second paragraph says"
    );
    assert_eq!(
        made.len(),
        kept.len(),
        "docs/contracts.md is out of date; write it anew as its second paragraph says"
    );
}

#[test]
fn every_reason_to_be_unreadable_is_in_the_document() {
    use orderflow_schemas::Unreadable;
    let text = String::new;
    let document = orderflow_schemas::document::markdown();
    for reason in [
        Unreadable::Empty,
        Unreadable::TooShort(1),
        Unreadable::BadMagic(1),
        Unreadable::UnknownSchema(1),
        Unreadable::Truncated(text()),
        Unreadable::TrailingBytes(1),
        Unreadable::Limit(text()),
        Unreadable::WrongType(text()),
    ] {
        assert!(document.contains(&format!("`{}`", reason.reason())), "{reason:?}");
    }
}
