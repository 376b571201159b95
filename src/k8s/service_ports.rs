//! The ports of a service item: each entry its own values. (The notebook repeats the last one.)

use serde_json::value::RawValue;

use super::json::{Object, Odd};

/// An entry of `ports`.
#[derive(Debug, Default, PartialEq)]
pub struct ServicePort {
    pub name: Option<Box<str>>,
    pub port: Option<i32>,
    /// A number, or the name of a container's port.
    pub target_port: Option<Box<str>>,
    pub node_port: Option<i32>,
    pub protocol: Option<Box<str>>,
}

impl ServicePort {
    /// Bytes of its strings.
    pub fn text_bytes(&self) -> usize {
        [&self.name, &self.target_port, &self.protocol].into_iter().flatten().map(|text| text.len()).sum()
    }

    /// Reads an entry. One that is no object has no fields, and is noted, but for null.
    pub fn parse(json: &RawValue, odd: &mut Odd) -> ServicePort {
        let Some(entry) = Object::of_entry(json, "ports", odd) else { return ServicePort::default() };
        ServicePort {
            name: entry.string("name", odd).map(Into::into),
            port: entry.integer("port", odd),
            target_port: entry.string_or_number("targetPort", odd).map(Into::into),
            node_port: entry.integer("nodePort", odd),
            protocol: entry.string("protocol", odd).map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(json: &str) -> (ServicePort, Vec<String>) {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let mut odd = Odd::default();
        (ServicePort::parse(&raw, &mut odd), odd.names)
    }

    #[test]
    fn target_ports_are_numbers_or_names() {
        assert_eq!(port(r#"{"targetPort":8080}"#).0.target_port.as_deref(), Some("8080"));
        assert_eq!(port(r#"{"targetPort":-1e400}"#).0.target_port.as_deref(), Some("-1e400"));
        assert_eq!(port(r#"{"targetPort":"http"}"#).0.target_port.as_deref(), Some("http"));
        for json in [r#"{"targetPort":[1]}"#, r#"{"targetPort":true}"#] {
            assert_eq!(port(json), (ServicePort::default(), vec!["targetPort".to_owned()]), "{json}");
        }
    }

    #[test]
    fn numbers_are_read_as_they_come() {
        for json in [r#"{"port":80}"#, r#"{"port":"80"}"#, r#"{"port":80.0}"#] {
            assert_eq!(port(json).0.port, Some(80), "{json}");
        }
        assert_eq!(port(r#"{"port":99999999999}"#), (ServicePort::default(), vec!["port".to_owned()]));
        assert_eq!(port("7"), (ServicePort::default(), vec!["ports".to_owned()]));
        assert_eq!(port("null"), (ServicePort::default(), vec![]));
    }
}
