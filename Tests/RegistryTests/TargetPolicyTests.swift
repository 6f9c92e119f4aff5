// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

@Suite struct TargetPolicyTests {
    private let redis = ServiceName("redis")

    private func check(_ endpoint: String, _ rules: [String] = [], memory: Bool = false) throws -> SkipReason? {
        let parsed = try rules.map { try #require(TargetPolicy.Rule($0), "\($0)") }
        let policy = TargetPolicy(rules: parsed, fromOwnMemory: memory)
        return policy.check(try #require(Endpoint(endpoint), "\(endpoint)"), service: try #require(redis))
    }

    static let always = [
        "0.0.0.0:80", "0.1.2.3:80", "[::]:80", "169.254.169.254:80", "169.254.0.1:1", "[fe80::1]:80", "[febf::1]:80",
        "224.0.0.1:80", "239.255.255.255:80", "[ff02::1]:80", "240.0.0.1:80", "255.255.255.255:80",
        "[fd00:ec2::254]:80", "[::ffff:169.254.169.254]:80", "[::ffff:a9fe:a9fe]:80", "[::ffff:0.0.0.0]:80",
        "[0:0:0:0:0:ffff:e000:1]:80",
    ]

    @Test(arguments: always)
    func refusesAlways(_ endpoint: String) throws {
        #expect(try check(endpoint) == .forbidden)
        #expect(try check(endpoint, memory: true) == .forbidden)
        #expect(try check(endpoint, ["0.0.0.0/0", "[::/0]"]) == .forbidden)
        #expect(try check(endpoint, ["redis=0.0.0.0/0", "redis=[::/0]"]) == .forbidden)
    }

    @Test(arguments: ["10.0.0.1", "127.0.0.1", "8.8.8.8", "[fd00::1]"])
    func refusesPortZero(_ host: String) throws {
        #expect(try check("\(host):0", ["0.0.0.0/0", "127.0.0.0/8"]) == .port)
    }

    @Test(arguments: [
        "10.0.0.1:1", "10.255.255.255:65535", "172.16.0.1:80", "172.31.255.255:80", "192.168.1.1:80", "100.64.0.1:80",
        "100.127.255.255:80", "[fd12::1]:80", "[fc00::1]:80", "[::ffff:10.0.0.1]:80", "[fd00:ec2::253]:80",
    ])
    func allowsPrivateNetworks(_ endpoint: String) throws {
        #expect(try check(endpoint) == nil)
    }

    @Test(arguments: [
        "8.8.8.8:53", "172.15.255.255:80", "172.32.0.1:80", "192.167.1.1:80", "100.63.255.255:80", "100.128.0.1:80",
        "11.0.0.1:80", "[2001:db8::1]:80", "[::2]:80", "[::127.0.0.1]:80", "[64:ff9b::a9fe:a9fe]:80", "[fe00::1]:80",
        "1.0.0.1:80",
    ])
    func refusesPublicAddressesUntilAllowed(_ endpoint: String) throws {
        #expect(try check(endpoint) == .notAllowed)
        #expect(try check(endpoint, memory: true) == .notAllowed)
        #expect(try check(endpoint, ["0.0.0.0/0", "[::/0]"]) == nil)
    }

    @Test(arguments: ["127.0.0.1:2375", "127.255.255.255:1", "[::1]:80", "[::ffff:127.0.0.1]:80"])
    func loopbackMustBeNamedOrOurOwn(_ endpoint: String) throws {
        #expect(try check(endpoint) == .loopback)
        #expect(try check(endpoint, ["0.0.0.0/0", "[::/0]", "64.0.0.0/2", "[::/127]"]) == .loopback)
        #expect(try check(endpoint, memory: true) == nil)
        #expect(try check(endpoint, ["127.0.0.0/8", "[::1]"]) == nil)
        #expect(try check(endpoint, ["redis=127.0.0.0/8", "redis=[::1/128]"]) == nil)
        #expect(try check(endpoint, ["redis=10.0.0.0/8"], memory: true) == .loopback)
        #expect(try check(endpoint, ["127.9.9.9", "other=127.0.0.0/8"]) == .loopback)
    }

    @Test func rulesWithoutServiceAddToTheDefault() throws {
        #expect(try check("203.0.113.9:443", ["203.0.113.0/24:443"]) == nil)
        #expect(try check("203.0.113.9:80", ["203.0.113.0/24:443"]) == .notAllowed)
        #expect(try check("10.1.1.1:80", ["203.0.113.0/24:443"]) == nil)
    }

    @Test func aServicesOwnRulesReplaceTheDefault() throws {
        let rules = ["redis=10.7.0.0/16:6379-6380", "203.0.113.0/24"]
        #expect(try check("10.7.0.1:6379", rules) == nil)
        #expect(try check("10.7.0.1:6380", rules) == nil)
        #expect(try check("10.7.0.1:6381", rules) == .notAllowed)
        #expect(try check("10.8.0.1:6379", rules) == .notAllowed)
        #expect(try check("203.0.113.1:6379", rules) == .notAllowed)
        #expect(try check("10.8.0.1:1", ["other=10.7.0.0/16"]) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("10.1.2.3/8:80", "10.0.0.0/8:80"),
        ("[fd00::/8]:1-65535", "[fd00::/8]"), ("[::1]:80-90", "[::1/128]:80-90"),
        ("shop/cart=10.0.0.0/8:5-5", "shop/cart=10.0.0.0/8:5"), ("redis=[fd00::/64]", "redis=[fd00::/64]"),
    ])
    func readsRules(_ text: String, _ canonical: String) throws {
        #expect(try #require(TargetPolicy.Rule(text)).description == canonical)
        #expect(TargetPolicy.Rule(canonical) == TargetPolicy.Rule(text))
    }

    @Test(arguments: [
        "", "=10.0.0.0/8", "redis=", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8", "010.0.0.0/8",
        "0x0a.0.0.0/8",
        "10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/8:9-8", "10.0.0.0/8:1-2-3", "10.0.0.0/8:a",
        "10.0.0.0/8:-1", "10.0.0.0/8:1-", "fd00::/8", "[fd00::/8", "[fd00::/8]80", "[fd00::/129]", "[10.0.0.0/8]",
        "[fe80::1%eth0]", "example.org", "re dis=10.0.0.0/8", "a=b=10.0.0.0/8", "10.0.0.0/8/8", " 10.0.0.0/8",
    ])
    func refusesRules(_ text: String) {
        #expect(TargetPolicy.Rule(text) == nil)
    }
}
