//! An item of a message: a pod, service, node, …

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{Object, Odd, is_null, string};
use crate::trace::cursor::MAX_ENTRIES;

type Str = Box<str>;

/// What the columns want of an item. Everything else is in its JSON.
#[derive(Debug, Default, PartialEq)]
pub struct Item {
    pub name: Option<Str>,
    pub namespace: Option<Str>,
    pub uid: Option<Str>,
    pub timestamp: Option<Str>,
    pub pod_ip: Option<Str>,
    pub host_ip: Option<Str>,
    /// `None` (the word) for a headless service.
    pub cluster_ip: Option<Str>,
    pub addresses: Option<Vec<Str>>,
    pub node_name: Option<Str>,
    pub phase: Option<Str>,
    pub labels: Option<Vec<(Str, Str)>>,
    pub selector: Option<Vec<(Str, Str)>>,
}

/// What Kubernetes writes for the cluster IP of a headless service.
const HEADLESS: &str = "None";

/// Bytes of memory that a string takes besides its text, roughly.
const STRING: usize = 40;

impl Item {
    /// Bytes of memory that entries of its lists and maps take besides their text, roughly.
    pub fn entry_bytes(&self) -> usize {
        let pairs = [&self.labels, &self.selector].into_iter().flatten().map(Vec::len).sum::<usize>();
        STRING * (2 * pairs + self.addresses.as_ref().map_or(0, Vec::len))
    }

    /// Reads an item. One that is no object has no fields, and is noted, but for null: with that the collector says that there are no
    /// such objects.
    pub fn parse<'a>(json: &'a RawValue, odd: &mut Odd) -> (Item, Option<Object<'a>>) {
        let Some(object) = Object::of_entry(json, "items", odd) else { return (Item::default(), None) };
        let mut text = |name| object.string(name, odd).map(owned);
        let (name, namespace, uid) = (text("name"), text("namespace"), text("uid"));
        let (timestamp, node_name, phase) = (text("timestamp"), text("nodeName"), text("phase"));
        let (pod_ip, host_ip, cluster_ip) = (text("podIP"), text("hostIP"), text("clusterIP"));
        let mut addresses = |name| addresses(&object, name, odd);
        let (nodes, pods, hosts, clusters) =
            (addresses("addresses"), addresses("podIPs"), addresses("hostIPs"), addresses("clusterIPs"));
        // In a dual-stack cluster the first of the list is the address of the single field.
        let else_first = |single: Option<Str>, list: &Option<Vec<Str>>| {
            let all = || single.iter().chain(list.iter().flatten());
            all().find(|address| !address.is_empty()).or(single.as_ref()).cloned()
        };
        let item = Item {
            pod_ip: else_first(pod_ip, &pods),
            host_ip: else_first(host_ip, &hosts),
            cluster_ip: else_first(cluster_ip, &clusters),
            addresses: nodes.or(pods).or(clusters),
            labels: object.object("labels", odd).map(|labels| labels.string_pairs("labels", odd)),
            selector: selector(&object, odd),
            name,
            namespace,
            uid,
            timestamp,
            node_name,
            phase,
        };
        (item, Some(object))
    }

    /// The item's address and which it is: `podIP`, else `hostIP`, else `clusterIP` (as in the notebook).
    pub fn ip(&self) -> Option<(&str, &'static str)> {
        let cluster_ip = self.cluster_ip.as_ref().filter(|ip| ***ip != *HEADLESS);
        let all = [(self.pod_ip.as_ref(), "podIP"), (self.host_ip.as_ref(), "hostIP"), (cluster_ip, "clusterIP")];
        let mut given = all.into_iter().filter_map(|(ip, kind)| Some((&**ip?, kind)));
        given.find(|(ip, _)| !ip.is_empty())
    }

    /// Whether it has an address of its own in the cluster.
    pub fn has_cluster_ip(&self) -> bool {
        self.cluster_ip.as_deref().is_some_and(|ip| !ip.is_empty() && ip != HEADLESS)
    }
}

fn owned(text: Cow<str>) -> Str {
    text.into()
}

/// A list of addresses: of strings, or of objects with an `ip` or `address` (Kubernetes API: PodIP, NodeAddress).
fn addresses(object: &Object, name: &str, odd: &mut Odd) -> Option<Vec<Str>> {
    let list = object.list(name, odd)?;
    let address = |json: &RawValue| {
        string(json).map(owned).or_else(|| {
            let entry = Object::of(json)?;
            let mut ignored = Odd::default();
            entry.string("ip", &mut ignored).or_else(|| entry.string("address", &mut ignored)).map(owned)
        })
    };
    let mut found = Vec::new();
    let fits = list.len <= MAX_ENTRIES;
    let mut is_odd = !fits;
    list.for_each(|json| {
        let address = address(json).filter(|_| fits);
        is_odd |= address.is_none() && !is_null(json);
        found.extend(address);
    });
    if is_odd {
        odd.push(name);
    }
    fits.then_some(found)
}

/// The fields of a selector of the newer kinds (Kubernetes API: LabelSelector).
const NEWER: [&str; 2] = ["matchLabels", "matchExpressions"];

/// A selector's labels: the object itself (services, replication controllers) or its `matchLabels` (all newer kinds), for whose
/// `matchExpressions` there is no column.
fn selector(object: &Object, odd: &mut Odd) -> Option<Vec<(Str, Str)>> {
    let selector = object.object("selector", odd)?;
    // Labels may have such names, too, but are strings.
    let is_label = |name| selector.value(name).is_none_or(|value| string(value).is_some());
    if NEWER.into_iter().all(is_label) || selector.names().any(|name| !NEWER.contains(&name)) {
        return Some(selector.string_pairs("selector", odd));
    }
    if selector.list("matchExpressions", odd).is_some_and(|expressions| expressions.len > 0) {
        odd.push("matchExpressions");
    }
    selector.object("matchLabels", odd).map(|labels| labels.string_pairs("matchLabels", odd))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: &str) -> (Item, Vec<String>) {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let mut odd = Odd::default();
        let (item, _) = Item::parse(&raw, &mut odd);
        (item, odd.names)
    }

    #[test]
    fn the_ip_is_the_pods_then_the_hosts_then_the_clusters() {
        for (json, ip) in [
            (r#"{"podIP":"1.1.1.1","hostIP":"2.2.2.2","clusterIP":"3.3.3.3"}"#, Some(("1.1.1.1", "podIP"))),
            (r#"{"podIP":null,"hostIP":"2.2.2.2"}"#, Some(("2.2.2.2", "hostIP"))),
            (r#"{"podIP":"","hostIP":"","clusterIP":"3.3.3.3"}"#, Some(("3.3.3.3", "clusterIP"))),
            (r#"{"clusterIP":"None"}"#, None),
            (r#"{"podIP":"","podIPs":[{"ip":""},{"ip":"1.1.1.1"}]}"#, Some(("1.1.1.1", "podIP"))),
            (r#"{"clusterIP":""}"#, None),
            (r#"{"podIPs":[{"ip":"1.1.1.1"},{"ip":"fd00::1"}]}"#, Some(("1.1.1.1", "podIP"))),
            (r#"{"clusterIPs":["3.3.3.3","fd00::3"]}"#, Some(("3.3.3.3", "clusterIP"))),
            ("{}", None),
        ] {
            assert_eq!(item(json).0.ip(), ip, "{json}");
        }
    }

    #[test]
    fn addresses_come_as_strings_or_objects() {
        let (node, odd) = item(r#"{"addresses":["192.168.59.100",{"type":"Hostname","address":"minikube"},7]}"#);
        assert_eq!(node.addresses.unwrap(), ["192.168.59.100".into(), "minikube".into()]);
        assert_eq!(odd, ["addresses"]);
    }

    #[test]
    fn selectors_of_old_and_new_kinds() {
        let expected = Some(vec![("app".into(), "web".into())]);
        assert_eq!(item(r#"{"selector":{"app":"web"}}"#).0.selector, expected);
        assert_eq!(item(r#"{"selector":{"matchLabels":{"app":"web"}}}"#).0.selector, expected);
        for (json, labels, odd) in [
            (r#"{"matchExpressions":[]}"#, None, None),
            (r#"{"matchExpressions":[{"key":"a"}]}"#, None, Some("matchExpressions")),
            (
                r#"{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"a"}]}"#,
                expected.clone(),
                Some("matchExpressions"),
            ),
            (r#"{"matchLabels":null}"#, None, None),
            (r#"{"matchLabels":["app"]}"#, None, Some("matchLabels")),
            (r#"{"app":"web","matchLabels":null}"#, expected.clone(), None),
            (r#"{"app":"web","matchLabels":{"b":"c"}}"#, expected, Some("selector")),
            ("{}", Some(vec![]), None),
        ] {
            let (of, names) = item(&format!(r#"{{"selector":{json}}}"#));
            assert_eq!((of.selector, names), (labels, odd.map(str::to_owned).into_iter().collect()), "{json}");
        }
        let named = item(r#"{"selector":{"matchLabels":"web"}}"#).0.selector;
        assert_eq!(named, Some(vec![("matchLabels".into(), "web".into())]));
    }

    #[test]
    fn oddly_typed_fields_are_null_and_noted() {
        let (odd_item, odd) = item(r#"{"name":7,"labels":["a"],"podIP":{},"namespace":"x","uid":[]}"#);
        assert_eq!(odd_item, Item { namespace: Some("x".into()), ..Item::default() });
        assert_eq!(odd, ["name", "uid", "podIP", "labels"]);
        let (twice, odd) = item(r#"{"labels":{"a":"1","k":"v","k":1,"n":"v","n":null,"a":"2"}}"#);
        assert_eq!(twice.labels.unwrap(), [("a".into(), "2".into())]);
        assert_eq!(odd, ["labels"]);
        assert_eq!(item("3"), (Item::default(), vec!["items".to_owned()]));
    }
}
