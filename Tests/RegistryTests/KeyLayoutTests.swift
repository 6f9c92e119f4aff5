// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

@Suite struct KeyLayoutTests {
    @Test(arguments: ["/services", "/a/b.c/_x-1", "/" + String(repeating: "p", count: 99)])
    func acceptsPrefix(_ prefix: String) throws {
        #expect(try #require(KeyLayout(prefix: prefix)).prefix == prefix)
    }

    @Test(arguments: [
        "", "/", "services", "/services/", "//services", "/a//b", "/a b", "/a\u{0}", "/é",
        "/" + String(repeating: "p", count: 100),
    ])
    func refusesPrefix(_ prefix: String) {
        #expect(KeyLayout(prefix: prefix) == nil)
    }

    @Test func standardIsTheArticles() {
        #expect(KeyLayout.standard.prefix == "/services")
        #expect(KeyLayout(prefix: "/services") == .standard)
    }

    @Test func placesKeys() throws {
        let service = try #require(ServiceName("shop/checkout"))
        let layout = KeyLayout.standard
        #expect(layout.servicesRange == .prefix("/services/"))
        #expect(layout.range(of: service) == .prefix("/services/shop/checkout/"))
        #expect(layout.key(service: service, instance: "a:b", node: "h") == "/services/shop/checkout/a:b")
        #expect(layout.nodesRange == .prefix("/services-nodes/"))
        #expect(layout.nodeRange("host/1") == .prefix("/services-nodes/host%2F1/"))
        #expect(layout.presenceKey(node: "h", process: "p") == "/services-nodes/h/p")
        let place = KeyLayout.Place(service: service, instance: "i")
        #expect(layout.holdKey(place, process: "p") == "/services-holds/shop/checkout/i/p")
        #expect(layout.holdsRange == .prefix("/services-holds/"))
    }

    static var nodeFirst: KeyLayout {
        var layout = KeyLayout.standard
        layout.order = .nodeFirst
        return layout
    }

    /// What is no UTF-8 is shown as U+FFFD: two such keys look the same, and neither may be taken for the other.
    @Test func refusesKeysThatAreNoText() {
        let layout = KeyLayout.standard
        let name = String(decoding: [UInt8(ascii: "a"), 0xff], as: UTF8.self)
        #expect(layout.parse("/services/redis/\(name)") == nil && layout.parse("/services/redis/a") != nil)
        #expect(layout.parseOverride("/services-overrides/redis/\(name)") == nil)
        #expect(layout.parseHold("/services-holds/redis/\(name)/p") == nil)
        #expect(layout.parsePresence("/services-nodes/n/\(name)") == nil)
        #expect(Self.nodeFirst.parse("/services-by-node/n/redis/\(name)") == nil)
    }

    @Test func placesKeysByNode() throws {
        let service = try #require(ServiceName("shop/checkout"))
        let layout = Self.nodeFirst
        #expect(layout.servicesRange == .prefix("/services-by-node/"))
        #expect(layout.range(of: service) == layout.servicesRange)
        let key = layout.key(service: service, instance: "a:b", node: "host/1")
        #expect(key == "/services-by-node/host%2F1/shop/checkout/a:b")
        #expect(layout.nodeRange("host/1") == .prefix("/services-nodes/host%2F1/"))
        let place = KeyLayout.Place(service: service, instance: "a:b", node: "host/1")
        #expect(layout.key(place) == key)
        #expect(layout.holdKey(place, process: "p") == "/services-holds/shop/checkout/host%2F1/a:b/p")
        #expect(!layout.servicesRange.contains(KeyLayout.standard.key(place)))
    }

    @Test(arguments: ["hostA", "10.0.0.1", "fd00::1", "hôte"])
    func keysByNodeComeBack(_ node: String) throws {
        let service = try #require(ServiceName("shop/checkout"))
        let place = KeyLayout.Place(service: service, instance: "a:b", node: node)
        let layout = Self.nodeFirst
        #expect(layout.parse(layout.key(place)) == place)
        let hold = try #require(layout.parseHold(layout.holdKey(place, process: "p")))
        #expect(hold.place == place && hold.process == "p")
    }

    @Test(arguments: [
        "/services/redis/x", "/services-by-node/h/x", "/services-by-node/h/", "/services-by-node/h",
        "/services-by-node//redis/x", "/services-by-node/h/redis/", "/services-by-node/h h/redis/x",
        "/services-by-node/h%zz/redis/x", "/services-by-node/h/re dis/x", "/services-by-nodes/h/redis/x",
    ])
    func doesNotParseByNodeWhatIsNot(_ key: String) {
        #expect(Self.nodeFirst.parse(key) == nil)
        #expect(Self.nodeFirst.parseHold("/services-holds/redis/i/p") == nil)
    }

    @Test func aServicesRangeDoesNotSeeItsNeighbour() throws {
        let redis = try #require(ServiceName("redis"))
        let other = try #require(ServiceName("redis-A"))
        let layout = KeyLayout.standard
        #expect(!layout.range(of: redis).contains(layout.key(service: other, instance: "x", node: "h")))
        #expect(!layout.servicesRange.contains(layout.presenceKey(node: "h", process: "p")))
    }

    @Test func parsesTheLastPartAsInstance() throws {
        let parsed = try #require(KeyLayout.standard.parse("/services/shop/checkout/n:c:1"))
        #expect(parsed.service.description == "shop/checkout")
        #expect(parsed.instance == "n:c:1")
    }

    @Test(arguments: [
        "/services/redis", "/services/redis/", "/services//x", "/services/", "/services", "/other/redis/x",
        "/services-nodes/h/p", "/services/re dis/x", "services/redis/x", "/services/a//x", "",
    ])
    func doesNotParseWhatIsNotOurs(_ key: String) {
        #expect(KeyLayout.standard.parse(key) == nil)
    }

    @Test func keysEndAt512Bytes() {
        let key = "/services/redis/" + String(repeating: "i", count: 512 - 16)
        #expect(KeyLayout.standard.parse(key) != nil)
        #expect(KeyLayout.standard.parse(key + "i") == nil)
    }

    @Test func presenceKeysComeBack() throws {
        let layout = KeyLayout.standard
        let parsed = try #require(layout.parsePresence(layout.presenceKey(node: "hôte/1", process: "ab12")))
        #expect(parsed == (node: "hôte/1", process: "ab12"))
        #expect(layout.parsePresence("/services-nodes/a%zz/p") == nil)
        #expect(layout.parsePresence("/services-nodes/only") == nil)
        #expect(layout.parsePresence("/services/redis/x") == nil)
    }
}

@Suite struct InstanceNameTests {
    @Test func joinsEncodedParts() {
        #expect(InstanceName.join(["hostA", "redis-demo.service", "6379"]) == "hostA:redis-demo.service:6379")
        #expect(InstanceName.join(["h", "fd00::1", "1"]) == "h:fd00%3A%3A1:1")
        #expect(InstanceName.join(["a:b", "c"]) != InstanceName.join(["a", "b:c"]))
        #expect(InstanceName.join(["a/b", "é%", ""]) == "a%2Fb:%C3%A9%25:")
    }

    @Test(arguments: ["", "plain", "a/b", "é\u{0}%", "::1"])
    func decodesWhatItEncoded(_ part: String) {
        #expect(InstanceName.decode(InstanceName.encode(part)) == part)
    }

    @Test(arguments: ["%", "%4", "%g0", "%c3%a9", "%FF", "a:b", "a/b"])
    func decodesNothingElse(_ text: String) {
        #expect(InstanceName.decode(text) == nil)
    }

    @Test func operatorsNamesAreKeyParts() {
        #expect(InstanceName.isAllowed("redis@1.service"))
        #expect(InstanceName.isAllowed("n:c%2F:6379"))
        for name in ["", "a/b", "a b", "é", "a\n", String(repeating: "x", count: 201)] {
            #expect(!InstanceName.isAllowed(name))
        }
    }
}
