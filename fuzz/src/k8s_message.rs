//! An arbitrary Kubernetes message: fixed, read and expanded.

use std::sync::Arc;

use serde_json::Value;
use sf_parquet::k8s::expand;
use sf_parquet::k8s::json::Odd;
use sf_parquet::k8s::message::{Message, fix};
use sf_parquet::reject::Code;
use sf_parquet::trace::records::Event;

#[path = "../../tests/support/collected.rs"]
mod collected;

use collected::Collected;

/// The message is the text, invalid UTF-8 replaced as the decoder does it.
pub fn check(data: &[u8]) {
    let message = String::from_utf8_lossy(data);
    let fixed = fix(&message);
    assert!(message.starts_with(fixed));
    assert!(message[fixed.len()..].chars().all(|c| c == '\0' || c.is_whitespace()));
    assert_eq!(fix(fixed), fixed);

    let event = Event { kind: Some("K8S_SERVICES".into()), message: Some(message.as_ref().into()), ..Event::default() };
    let mut rows = Collected::default();
    let row = expand::expand(&Arc::default(), 7, &event, &mut rows);
    assert_eq!(row.message.as_deref(), Some(fixed));
    assert_eq!(row.fixed, fixed.len() < message.len());
    assert_eq!(row.item_count.unwrap_or(0), rows.items.len() as i64);
    assert!(rows.items.iter().enumerate().all(|(i, item)| item.item_no == i as i64));
    assert!(rows.ports.iter().all(|port| 0 <= port.item_no && port.item_no < rows.items.len() as i64));
    let refused = rows.warnings.iter().any(|(code, _)| *code == Code::K8sNoJson);
    assert_eq!(refused, row.parse_error.is_some());
    same_value(&message, fixed, &row, &rows);
}

/// Valid JSON is read, and its value kept. (Not the other way round: what is not looked at may be too large a number or
/// half a surrogate, which `serde_json::Value` refuses.)
fn same_value(message: &str, fixed: &str, row: &expand::KubernetesEvent, rows: &Collected) {
    let Ok(value) = serde_json::from_str::<Value>(fixed) else { return };
    if let Ok(original) = serde_json::from_str::<Value>(message) {
        assert_eq!(original, value);
    }
    assert_eq!(row.parse_error.is_none(), value.is_object());
    assert_eq!(Message::parse(fixed, &mut Odd::default()).is_ok(), value.is_object());
    assert_eq!(row.message_kind.as_deref(), value["kind"].as_str());
    assert_eq!(row.message_type.as_deref(), value["type"].as_str());
    assert_eq!(row.api_version.as_deref(), value["apiVersion"].as_str());
    let items = value["items"].as_array();
    assert_eq!(row.item_count, items.map(|items| items.len() as i64));
    for (item, row) in items.into_iter().flatten().zip(&rows.items) {
        assert_eq!(serde_json::from_str::<Value>(&row.json).ok().as_ref(), Some(item));
        assert_eq!(row.item.name.as_deref(), item["name"].as_str());
    }
    let is_service = value["kind"].as_str().is_none_or(|kind| kind == "Service");
    let ports = |item: &Value| item["ports"].as_array().map_or(0, Vec::len);
    let expected: usize = items.into_iter().flatten().map(ports).sum();
    assert_eq!(rows.ports.len(), if is_service { expected } else { 0 });
}
