// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

@Suite struct SecondFormTests {
    private func key(_ form: String, _ service: String, _ instance: String) throws -> String? {
        try #require(SecondForm(form)).key(service: try #require(ServiceName(service)), instance: instance)
    }

    private func value(
        _ form: String, at endpoint: String = "10.77.0.1:6379", _ change: (inout InstanceRecord) -> Void = { _ in }
    ) throws -> String? {
        var record = InstanceRecord(endpoint: try #require(Endpoint(endpoint)))
        change(&record)
        return try #require(SecondForm(form)).value(record).map { String(decoding: $0, as: UTF8.self) }
    }

    // MARK: Arguments

    @Test(arguments: [
        ("skydns", "/skydns/local/skydns/"), ("skydns:cluster.local", "/skydns/local/cluster/"),
        ("skydns:LAN", "/skydns/lan/"), ("skydns:/dns", "/dns/local/skydns/"),
        ("skydns:a.b.lan:/dns/x", "/dns/x/lan/b/a/"), ("naming", "services/"), ("naming:grpc/prod", "grpc/prod/"),
        ("naming:/grpc", "/grpc/"), ("registrator", "/registrator/"), ("registrator:/old", "/old/"),
    ])
    func hasARootOfItsOwn(_ text: String, _ root: String) throws {
        #expect(try #require(SecondForm(text)).root == root)
    }

    @Test(arguments: [
        "", "consul", "skydns:", "skydns:a..b", "skydns:a b", "skydns:-:x", "skydns:lan:dns", "skydns:lan:/dns:x",
        "skydns:/dns:lan", "naming:", "naming:/", "naming:a/", "naming:a:b", "registrator:/a//b", "registrator:é",
        "skydns:" + String(repeating: "x", count: 64), "naming:/" + String(repeating: "x", count: 100),
    ])
    func refuses(_ text: String) { #expect(SecondForm(text) == nil) }

    @Test func twoFormsAndALayoutKeepApart() throws {
        let forms = try ["skydns", "skydns:x.skydns.local", "naming", "naming:services/x", "registrator"].map {
            try #require(SecondForm($0))
        }
        for (one, other) in [(0, 1), (1, 0), (2, 3), (3, 2), (4, 4)] {
            #expect(forms[one].collides(with: forms[other]))
        }
        for (one, other) in [(0, 2), (0, 4), (2, 4), (1, 3)] { #expect(!forms[one].collides(with: forms[other])) }
        for prefix in ["/services", "/services/x", "/services-by-node", "/services-holds"] {
            #expect(try #require(SecondForm("naming:\(prefix)")).collides(with: .standard), "\(prefix)")
        }
        #expect(try !#require(SecondForm("registrator:/services-old")).collides(with: .standard))
        let deep = try #require(KeyLayout(prefix: "/a/b"))
        #expect(try #require(SecondForm("naming:/a")).collides(with: deep))
        #expect(try !#require(SecondForm("naming:/a/c")).collides(with: deep))
    }

    // MARK: Keys

    @Test func keysAreServiceAndInstance() throws {
        #expect(try key("naming", "shop/web", "h:c:80") == "services/shop/web/h:c:80")
        #expect(try key("registrator", "redis", "h:redis.0:6379") == "/registrator/redis/h:redis.0:6379")
    }

    /// CoreDNS asks in lower case, and for the labels of a name from right to left.
    @Test(arguments: [
        ("redis", "redis-1", "/skydns/local/skydns/redis/redis-1"),
        ("redis-A", "redis-1", "/skydns/local/skydns/redis-a/redis-1"),
        ("shop/web", "i1", "/skydns/local/skydns/shop/web/i1"),
        ("web.shop", "i1", "/skydns/local/skydns/shop/web/i1"),
        ("eu/web.shop", "i1", "/skydns/local/skydns/eu/shop/web/i1"),
        ("_redis._tcp", "i1", "/skydns/local/skydns/_tcp/_redis/i1"),
    ])
    func keysOfDNSAreNamesBackwards(_ service: String, _ instance: String, _ expected: String) throws {
        #expect(try key("skydns", service, instance) == expected)
    }

    @Test func whatIsNoLabelBecomesOneOfItsOwn() throws {
        let names = ["hostA:redis:6379", "hosta:redis:6379", "hostA:redis.6379", "Redis-1", "-x", "x_y"]
        let labels = try names.map { name in
            try #require(try key("skydns", "web", name)?.split(separator: "/").last.map(String.init))
        }
        #expect(Set(labels).count == names.count && labels[0].hasPrefix("hosta-redis-6379-"))
        let long = try #require(try key("skydns", "web", String(repeating: "x", count: 200)))
        for label in labels + [String(long.split(separator: "/").last ?? "")] {
            #expect(label.utf8.count <= 63 && label == label.lowercased())
            #expect(label.utf8.allSatisfy { $0 == 45 || (48...57).contains($0) || (97...122).contains($0) })
        }
        // The same instance has the same name tomorrow.
        #expect(labels[0] == "hosta-redis-6379-" + "web/hostA:redis:6379".utf8.fnv1a)
    }

    @Test(arguments: ["a..b", ".a", "a.", String(repeating: "s", count: 64), "a/.b"])
    func namesNoServiceThatDNSHasNoNameFor(_ service: String) throws {
        #expect(try key("skydns", service, "i") == nil)
        #expect(try key("naming", service, "i") != nil)
    }

    @Test func aNameThatIsTooLongIsNone() throws {
        let service = Array(repeating: String(repeating: "s", count: 49), count: 4).joined(separator: ".")
        #expect(try key("skydns", service, "i") != nil)
        #expect(try key("skydns", service, String(repeating: "i", count: 63)) == nil)
    }

    // MARK: Values

    @Test func saysWhereItIs() throws {
        #expect(
            try value("skydns") == #"{"host":"10.77.0.1","port":6379,"priority":10,"weight":100,"ttl":10}"#)
        #expect(try value("naming") == #"{"Op":0,"Addr":"10.77.0.1:6379","Metadata":null}"#)
        #expect(try value("registrator") == "10.77.0.1:6379")
    }

    @Test func bracketsStandWhereAPortFollows() throws {
        let endpoint = "[fd00::1]:6379"
        #expect(try value("skydns", at: endpoint)?.contains(#""host":"fd00::1""#) == true)
        #expect(try value("naming", at: endpoint)?.contains(#""Addr":"[fd00::1]:6379""#) == true)
        #expect(try value("registrator", at: endpoint) == endpoint)
    }

    @Test func prioritiesStayInTheirOrder() throws {
        let said = try [0, 1, 65_525, 70_000].map { priority in
            try #require(try value("skydns") { $0.priority = priority })
        }
        #expect(said[0].contains(#""priority":10,"#) && said[1].contains(#""priority":11,"#))
        #expect(said[2].contains(#""priority":65535,"#) && said[3].contains(#""priority":65535,"#))
    }

    @Test(arguments: SecondForm.Kind.allCases)
    func whatTakesNoNewConnectionsDoesNotStand(_ kind: SecondForm.Kind) throws {
        #expect(try value(kind.rawValue) { $0.state = .draining } == nil)
        #expect(try value(kind.rawValue) { $0.weight = 0 } == nil)
        #expect(try (value(kind.rawValue) { $0.proto = "udp" } == nil) == (kind == .naming))
    }
}
