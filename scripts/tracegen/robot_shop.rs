//! The facts: services, pods and times of the robot-shop experiment, as the notebook prints them; what it does not print
//! is invented.

/// Nanoseconds of a time on 2022-03-17, given as hour, minute, second and microsecond. The digits below microseconds are
/// made of the time itself.
pub const fn at(hour: i64, minute: i64, second: i64, micro: i64) -> i64 {
    1_647_475_200_000_000_000
        + ((hour * 60 + minute) * 60 + second) * 1_000_000_000
        + micro * 1_000
        + 100
        + (micro * 7 + 13) % 300
}

pub const START: i64 = at(18, 47, 15, 845_631);
pub const END: i64 = at(19, 30, 57, 880_767);
/// When each trace file starts, and the number in its name.
pub const FILES: [(i64, u64); 3] =
    [(START, 1_647_542_836), (at(19, 14, 15, 0), 1_647_544_455), (at(19, 25, 15, 0), 1_647_545_115)];
pub const NODE: &str = "minikube";
pub const NODE_IP: &str = "192.168.59.100";
pub const GATEWAY: &str = "172.17.0.1";

/// When helm installed and uninstalled the application.
pub const INSTALLED: i64 = at(18, 49, 42, 882_518);
pub const UNINSTALLED: i64 = at(19, 20, 37, 544_457);

pub struct Service {
    pub name: &'static str,
    pub id: &'static str,
    /// `None` is a headless service.
    pub cluster_ip: &'static str,
    /// Port, name, node port.
    pub ports: &'static [(i32, &'static str, i32)],
    /// Whether the collector attached it to its pod.
    pub attached: bool,
}

const fn service(
    name: &'static str,
    id: &'static str,
    cluster_ip: &'static str,
    ports: &'static [(i32, &'static str, i32)],
    attached: bool,
) -> Service {
    Service { name, id, cluster_ip, ports, attached }
}

/// In the order in which the notebook's table of services has them; those without a place in it come last.
pub const SERVICES: [Service; 12] = [
    service("redis", "81bc1a3e-f067-4b37-a077-54061050c1cb", "10.111.214.104", &[(6379, "redis", 0)], true),
    service("mongodb", "09131df1-404c-4a02-bba2-ebe1e4393caa", "10.109.105.252", &[(27017, "mongo", 0)], true),
    service("user", "f1686819-1201-4e1b-8d99-8579007104de", "10.105.106.134", &[(8080, "http", 0)], true),
    service("catalogue", "d34b8f78-0865-4b54-a600-c011fe449545", "10.96.58.129", &[(8080, "http", 0)], true),
    service("shipping", "e11145c8-1fe9-4f2d-a9a0-07d039d519ff", "10.103.83.70", &[(8080, "http", 0)], true),
    service("ratings", "1f438794-721a-4641-8643-8964cba70095", "10.104.84.135", &[(80, "http", 0)], true),
    service("mysql", "d92b4e08-03bf-49a5-954b-026f7744482e", "10.107.7.181", &[(3306, "mysql", 0)], true),
    service(
        "rabbitmq",
        "9a209f55-ed6f-4224-b6d3-2a056f9c7783",
        "10.109.218.161",
        &[(5672, "tcp-amqp", 0), (15672, "http-management", 0), (4369, "tcp-epmd", 0)],
        true,
    ),
    service("payment", "5a4f1a0e-3c55-4c55-9c6e-0d5b6c1f7a11", "10.108.220.250", &[(8080, "http", 0)], true),
    service("cart", "6b7d2c1f-88a4-4f6b-a0b3-1f2e3d4c5b6a", "10.109.213.103", &[(8080, "http", 0)], false),
    service("dispatch", "1c81ab33-93f2-4e14-af63-6231ba015518", "None", &[(55555, "headless", 0)], false),
    service("web", "98e20ed6-fb51-4fdf-9453-001af7566a26", "10.99.3.147", &[(8080, "http", 31907)], false),
];

pub struct Pod {
    pub service: &'static str,
    pub name: &'static str,
    pub ip: &'static str,
    pub first: i64,
    pub last: i64,
    /// Whether the message of its end still has its address.
    pub ip_at_end: bool,
    /// Id of the container, and of the pause container seen at its end.
    pub container: &'static str,
    pub pause: &'static str,
    /// First and last event of the container before its pod was known, where the notebook prints them.
    pub before: Option<(i64, i64)>,
}

#[allow(clippy::too_many_arguments)]
const fn pod(
    service: &'static str,
    name: &'static str,
    ip: &'static str,
    first: i64,
    last: i64,
    ip_at_end: bool,
    container: &'static str,
    pause: &'static str,
) -> Pod {
    Pod { service, name, ip, first, last, ip_at_end, container, pause, before: None }
}

const fn mongodb(pod: Pod, before: (i64, i64)) -> Pod {
    Pod { before: Some(before), ..pod }
}

/// In the order of [`SERVICES`], restarted ones last.
pub const PODS: [Pod; 15] = [
    pod(
        "redis",
        "redis-0",
        "172.17.0.15",
        at(18, 50, 2, 520_990),
        at(19, 20, 37, 733_984),
        true,
        "5d0f3f2a9c11",
        "b3f1af98e495",
    ),
    mongodb(
        pod(
            "mongodb",
            "mongodb-67c5456f4-d4bgv",
            "172.17.0.9",
            at(18, 50, 1, 276_773),
            at(19, 4, 48, 912_214),
            true,
            "cd4ea3f3e8ae",
            "9d90554ce0a6",
        ),
        (at(18, 50, 1, 173_124), at(18, 50, 14, 874_146)),
    ),
    pod(
        "user",
        "user-899b6c7ff-c7wnj",
        "172.17.0.6",
        at(18, 50, 2, 101_007),
        at(19, 15, 34, 200_413),
        true,
        "77aa01c2de34",
        "0c9b11d7e5f2",
    ),
    pod(
        "catalogue",
        "catalogue-998b69bc9-bfnr7",
        "172.17.0.4",
        at(18, 49, 59, 867_636),
        at(19, 21, 8, 694_894),
        true,
        "1f6e8a90b7c3",
        "eb32dd737f52",
    ),
    pod(
        "shipping",
        "shipping-7f6dfbf46f-94trr",
        "172.17.0.11",
        at(18, 50, 2, 571_352),
        at(19, 20, 40, 710_991),
        true,
        "c0ffee12ab34",
        "d1e2f3a4b5c6",
    ),
    pod(
        "ratings",
        "ratings-7ccf67b49f-6qckr",
        "172.17.0.12",
        at(18, 50, 2, 401_834),
        at(19, 20, 40, 260_521),
        true,
        "8b1d2e3f4a5c",
        "4d4b1cf9894d",
    ),
    pod(
        "mysql",
        "mysql-6d778f4c8f-4bcr7",
        "172.17.0.10",
        at(18, 50, 1, 452_982),
        at(19, 20, 41, 989_241),
        true,
        "39c8b7a6f5e4",
        "cabf4edbc827",
    ),
    pod(
        "rabbitmq",
        "rabbitmq-785b678f74-mhhtg",
        "172.17.0.5",
        at(18, 51, 1, 9_719),
        at(19, 21, 9, 582_437),
        true,
        "e4d3c2b1a098",
        "ba13946ea53f",
    ),
    pod(
        "payment",
        "payment-5465d9cc79-8ln4b",
        "172.17.0.14",
        at(18, 51, 37, 241_520),
        at(19, 21, 9, 370_607),
        true,
        "0a1b2c3d4e5f",
        "f4631d398156",
    ),
    pod(
        "cart",
        "cart-7d7745696b-qgb99",
        "172.17.0.8",
        at(18, 50, 3, 5_811),
        at(19, 21, 8, 411_902),
        true,
        "6f5e4d3c2b1a",
        "9f2d50473bb4",
    ),
    pod(
        "dispatch",
        "dispatch-69b65d89b9-4lgl7",
        "172.17.0.13",
        at(18, 50, 2, 550_097),
        at(19, 21, 8, 963_347),
        true,
        "a9b8c7d6e5f4",
        "63e3c777b5c7",
    ),
    pod(
        "web",
        "web-77486f858f-gpfrn",
        "172.17.0.7",
        at(18, 50, 4, 77_310),
        at(19, 9, 58, 330_288),
        false,
        "2b3c4d5e6f70",
        "7e6d5c4b3a29",
    ),
    mongodb(
        pod(
            "mongodb",
            "mongodb-67c5456f4-ddhnf",
            "172.17.0.16",
            at(19, 4, 55, 568_221),
            at(19, 20, 39, 186_520),
            false,
            "4269f06be75a",
            "a1397d34b86e",
        ),
        (at(19, 4, 55, 566_971), at(19, 5, 13, 797_194)),
    ),
    pod(
        "web",
        "web-77486f858f-jnf9r",
        "172.17.0.9",
        at(19, 9, 56, 412_775),
        at(19, 21, 7, 880_003),
        true,
        "95a4b3c2d1e0",
        "5c4b3a291807",
    ),
    pod(
        "user",
        "user-899b6c7ff-qxd47",
        "172.17.0.7",
        at(19, 15, 6, 903_552),
        at(19, 21, 8, 120_660),
        false,
        "d0c1b2a39485",
        "3a29180f1e2d",
    ),
];

/// Pods of kube-system: name and address.
pub const SYSTEM_PODS: [(&str, &str); 6] = [
    ("coredns-64897985d-n4jjl", "172.17.0.2"),
    ("etcd-minikube", NODE_IP),
    ("kube-apiserver-minikube", NODE_IP),
    ("kube-controller-manager-minikube", NODE_IP),
    ("kube-proxy-9g9kt", NODE_IP),
    ("kube-scheduler-minikube", NODE_IP),
];

/// Network traffic of the whole experiment: pod, source, destination, port, reads, bytes read, writes, bytes written.
pub type Traffic = (&'static str, &'static str, &'static str, i32, i64, i64, i64, i64);
pub const TRAFFIC: [Traffic; 10] = [
    ("catalogue-998b69bc9-bfnr7", "172.17.0.4", "10.109.105.252", 27017, 359, 108558, 1069, 18992),
    ("catalogue-998b69bc9-bfnr7", "172.17.0.4", "10.96.0.10", 53, 148, 16136, 148, 6452),
    ("dispatch-69b65d89b9-4lgl7", "172.17.0.13", "10.109.218.161", 5672, 473, 2469, 123, 1287),
    ("dispatch-69b65d89b9-4lgl7", "172.17.0.13", "10.96.0.10", 53, 2779, 180224, 1408, 77440),
    ("mongodb-67c5456f4-d4bgv", GATEWAY, "172.17.0.9", 27017, 921, 18316, 344, 104606),
    ("mongodb-67c5456f4-ddhnf", GATEWAY, "172.17.0.16", 27017, 1026, 19986, 372, 113133),
    ("mysql-6d778f4c8f-4bcr7", GATEWAY, "172.17.0.10", 3306, 4135, 64937, 1161, 73956),
    ("rabbitmq-785b678f74-mhhtg", "127.0.0.1", "127.0.0.1", 4369, 35, 470, 24, 470),
    ("rabbitmq-785b678f74-mhhtg", GATEWAY, "172.17.0.5", 5672, 245, 1287, 236, 2469),
    ("rabbitmq-785b678f74-mhhtg", "172.17.0.5", "172.17.0.5", 4369, 39, 375, 27, 375),
];
