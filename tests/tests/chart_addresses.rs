//! Tests of both charts with addresses, networks, ports and names of images, with the real helm: what has not the form of one
//! is refused by the name of its value, and what is just within the bound is not. Nothing is installed.

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, assert_accepted, assert_refused};

/// Networks by their form, which the API server refuses all the same, and what has to be said of them.
const WRONG_NETWORKS: [(&str, &str); 13] = [
    ("10.0.0.7/8", "first address"),
    ("10.0.0.0/0", "first address"),
    ("10.0.0.1/31", "/32 for this address alone"),
    ("10.0.0.128/24", "first address"),
    ("2001:db8::1/32", "first address"),
    ("2001:DB8::1/32", "first address"),
    ("2001:db8:0:0:8000::/64", "/128 for this address alone"),
    ("::1/0", "first address"),
    ("64:ff9b::1.2.3.4/96", "first address"),
    ("::ffff:10.0.0.0/104", "IPv4 in their own form"),
    ("::FFFF:a00:0/104", "IPv4 in their own form"),
    ("0:0:0:0:0:ffff:0:0/96", "IPv4 in their own form"),
    ("::ffff:10.0.0.7/104", "IPv4 in their own form"),
];

/// Networks that are near to these, and that it takes.
const RIGHT_NETWORKS: [&str; 12] = [
    "10.0.0.0/31",
    "10.0.0.128/25",
    "128.0.0.0/1",
    "255.255.255.255/32",
    "2001:DB8::/32",
    "2001:0db8:0:0::/32",
    "2001:db8:0:0:8000::/65",
    "64:ff9b::1.2.3.4/128",
    "::10.0.0.0/104",
    "1:2:3:4:5:6:7::/112",
    "::ffff:1:0:0/128",
    "::fffe:0:0/95",
];

#[test]
fn a_port_of_the_nodes_is_for_one_service() {
    let types = "services.operators.type=NodePort,services.agents.type=LoadBalancer";
    let ports = |operators: u16, agents: u16| {
        format!("{types},services.operators.nodePort={operators},services.agents.nodePort={agents}")
    };
    let words =
        ["services.agents.nodePort: expected another port", "services.operators.nodePort", "30070 in both"];
    assert_refused(PLANE, &ports(30_070, 30_070), &words);
    // Kubernetes gives the port away whole, whatever its protocol.
    let by_udp = format!("{},services.agentsOverTcp=false", ports(30_070, 30_070));
    assert_refused(PLANE, &by_udp, &words);
    for (operators, agents) in [(30_070, 30_071), (30_070, 0), (0, 0)] {
        assert_accepted(PLANE, &ports(operators, agents));
    }
}

#[test]
fn the_address_of_a_load_balancer_is_an_ip_address() {
    for service in ["operators", "agents"] {
        let name = format!("services.{service}.loadBalancerIP");
        let with = |address: &str| format!("services.{service}.type=LoadBalancer,{name}={address}");
        for address in [
            "lb.example.com",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.01",
            "192.0.2.1:7071",
            "192.0.2.0/24",
            "[2001:db8::1]",
            "2001:db8::1%eth0",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7::8",
            "1::2::3",
            "12345::",
        ] {
            assert_refused(PLANE, &with(address), &[&name, "IPv4 or IPv6", address]);
        }
        for address in
            ["192.0.2.1", "255.255.255.255", "2001:db8::1", "::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1"]
        {
            assert_accepted(PLANE, &with(address));
        }
    }
}

/// What the API server would say of one Service, after other objects are there.
#[test]
fn a_load_balancer_is_open_to_networks() {
    for service in ["operators", "agents"] {
        let name = format!("services.{service}.loadBalancerSourceRanges");
        let with = |networks: &str| format!("services.{service}.type=LoadBalancer,{name}={{{networks}}}");
        for network in [
            "foo",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0/8",
            "2001:db8::/129",
            "2001:db8::",
            "/8",
        ] {
            let found = format!("found \"{network}\"");
            assert_refused(PLANE, &with(network), &[&name, "CIDRs", &found]);
            assert_refused(PLANE, &with(&format!("10.0.0.0/8,{network}")), &[&name, &found]);
        }
        assert_accepted(PLANE, &with("10.0.0.0/8,192.0.2.1/32,0.0.0.0/0,2001:db8::/32,::1/128,::/0"));
        for (network, words) in WRONG_NETWORKS {
            assert_refused(PLANE, &with(network), &[&name, words, &format!("found \"{network}\"")]);
        }
        assert_accepted(PLANE, &with(&RIGHT_NETWORKS.join(",")));
    }
}

/// As of a load balancer, the API server would say so of one object, after others are there.
#[test]
fn a_network_policy_names_networks() {
    for (chart, field) in [(PLANE, "operatorsFrom"), (PLANE, "agentsFrom"), (AGENT, "metricsFrom")] {
        let name = format!("networkPolicy.{field}");
        let with = |block: &str| format!("networkPolicy.enabled=true,{name}[0].ipBlock.{block}");
        for (block, found) in [
            ("cidr=foo", "found \"foo\""),
            ("cidr=10.0.0.0", "found \"10.0.0.0\""),
            ("except={10.1.0.0/16}", "found \"\""),
        ] {
            assert_refused(chart, &with(block), &[&name, "CIDRs", found]);
        }
        let except = with("cidr=10.0.0.0/8");
        assert_refused(chart, &format!("{except},{name}[0].ipBlock.except={{x}}"), &[&name, "found \"x\""]);
        assert_accepted(chart, &format!("{except},{name}[0].ipBlock.except={{10.1.0.0/16}}"));
        for (network, words) in WRONG_NETWORKS {
            let found = format!("found \"{network}\"");
            assert_refused(chart, &with(&format!("cidr={network}")), &[&name, words, &found]);
        }
        for network in RIGHT_NETWORKS {
            assert_accepted(chart, &with(&format!("cidr={network}")));
        }
        let but = |cidr: &str, except: &str| {
            format!("{},{name}[0].ipBlock.except={{{except}}}", with(&format!("cidr={cidr}")))
        };
        for (cidr, except) in [
            ("10.0.0.0/8", "11.0.0.0/16"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/8", "10.0.0.0/7"),
            ("10.0.0.0/8", "0.0.0.0/0"),
            ("10.0.0.0/8", "a00::/16"),
            ("0.0.0.0/0", "::/1"),
            ("2001:db8::/32", "2001:db9::/48"),
            ("2001:db8::/32", "2001:DB8::/32"),
        ] {
            let (outer, found) = (format!("parts of the cidr \"{cidr}\""), format!("found \"{except}\""));
            assert_refused(chart, &but(cidr, except), &[&name, "in except", &outer, &found]);
        }
        assert_refused(chart, &but("10.0.0.0/8", "10.0.0.7/16"), &[&name, "first address", "10.0.0.7/16"]);
        for (cidr, except) in [
            ("10.0.0.0/8", "10.0.0.0/9,10.255.255.255/32"),
            ("0.0.0.0/0", "10.0.0.0/8,128.0.0.0/1"),
            ("2001:db8::/32", "2001:DB8:1::/48"),
            ("::/0", "2001:db8::/32"),
        ] {
            assert_accepted(chart, &but(cidr, except));
        }
    }
}

/// As the programs themselves would say at their start.
#[test]
fn agents_are_told_a_host_and_a_port() {
    for (chart, name) in [(PLANE, "services.advertise"), (AGENT, "server")] {
        for address in [
            "https://foo:7071",
            "foo",
            "foo:",
            "foo:0",
            "foo:99999",
            "foo:x",
            "::1:7071",
            "[a:b]:7071",
            "[192.0.2.1]:7071",
            "a..b:7071",
            "a;b:7071",
            "192.0.2.256:7071",
        ] {
            assert_refused(chart, &format!("{name}={address}"), &[&format!("{name}: expected"), address]);
        }
        for address in ["foo:7071", "a_b.example.:65535", "192.0.2.1:1", "[2001:db8::1]:443"] {
            assert_accepted(chart, &format!("{name}={address}"));
        }
    }
}

#[test]
fn a_certificate_is_for_names_and_addresses() {
    let longest = "a".repeat(63);
    for name in [
        "10.0.0.1:7070",
        "::::",
        "a..b",
        "a b",
        "a.",
        ".a",
        "-a",
        "a-",
        "192.0.2.256",
        "1.2.3",
        "[::1]",
        "*.example.com",
        &format!("{longest}a.example.com"),
    ] {
        let found = format!("found something else ({} characters)", name.len());
        assert_refused(PLANE, &format!("names={{nimbus,{name}}}"), &["names[1]", "IP address", &found]);
    }
    for name in ["nimbus", "a.b-c.d", "1a.2b", "192.0.2.7", "2001:db8::7", &format!("{longest}.example.com")]
    {
        assert_accepted(PLANE, &format!("names={{{name}}}"));
    }
}

#[test]
fn an_image_is_named_as_registries_name_it() {
    for chart in [PLANE, AGENT] {
        for values in [
            "image.registry=localhost:5000",
            "image.registry=[::1]:5000/mirror",
            "image.registry=r.example.com/a/b-c",
            "image.registry=,image.repository=r.example.com:5000/a/b",
            "image.repository=a__b.c/d-e_f",
            "image.tag=_1.2.3-rc.1",
            "image.tag=0.1.0+build",
            "image.pullSecrets={017,a.b-c}",
        ] {
            let text = chart.template(&["--set-string", values]).map_err(|error| error.to_string());
            assert!(text.is_ok(), "{chart}: {values}: {text:?}");
        }
        for repository in ["a//b", "a/", "-a", "a..b"] {
            let found = format!("found \"{repository}\"");
            assert_refused(chart, &format!("image.repository={repository}"), &["image.repository", &found]);
        }
        let longest = "1".repeat(128);
        assert!(chart.template(&["--set-string", &format!("image.tag={longest}")]).is_ok());
        assert_refused(chart, &format!("image.tag=v{longest}"), &["image.tag", "at most 128"]);
    }
}
