// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import ServiceModel

@Suite struct EndpointTests {
    @Test(arguments: [
        ("10.77.0.1:6379", "10.77.0.1:6379"), ("[fd00::1]:6379", "[fd00::1]:6379"), ("[FD00:0::1]:0", "[fd00::1]:0"),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"), ("0.0.0.0:65535", "0.0.0.0:65535"), ("1.2.3.4:00080", "1.2.3.4:80"),
    ])
    func literalsAreParsed(text: String, canonical: String) {
        #expect(Endpoint(text)?.description == canonical)
    }

    @Test(arguments: [
        "", ":", "1.2.3.4", "1.2.3.4:", ":80", "redis:6379", "localhost:80", "fd00::1:6379", "[fd00::1]",
        "[fd00::1]6379",
        "[1.2.3.4]:80", "[fd00::1:80", "fd00::1]:80", "[]:80", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1",
        "1.2.3.4:1 ",
        "1.2.3.4:000080", "1.2.3.4:0x50", "1.2.3.4:８０", "[fe80::1%eth0]:80", "1.2.3.4:80:80", "01.2.3.4:80",
        "[[::1]]:80", "[::1]]:80",
    ])
    func everythingElseIsRefused(text: String) {
        #expect(Endpoint(text) == nil)
    }

    @Test func orderIsByAddressThenPort() throws {
        let texts = ["9.0.0.1:9", "10.0.0.1:80", "10.0.0.1:443", "[fd00::1]:1"]
        let endpoints = try texts.map { try #require(Endpoint($0)) }
        #expect(endpoints.shuffled().sorted() == endpoints)
    }
}

@Suite struct HostPortTests {
    @Test(
        arguments: [
            ("redis.example:6379", "redis.example", 6379), ("my_host-1:0", "my_host-1", 0), ("[::1]:80", "::1", 80),
            ("10.0.0.1:80", "10.0.0.1", 80),
        ] as [(String, String, UInt16)])
    func namesAndLiteralsAreParsed(text: String, host: String, port: UInt16) throws {
        let parsed = try #require(HostPort(text))
        #expect(parsed.host == host && parsed.port == port)
        #expect(parsed.description == text)
        #expect(HostPort(parsed.description) == parsed)
    }

    @Test(arguments: [
        "", "redis", ":80", "redis:", "re dis:80", "redis/a:80", "redis:80:80", "[redis]:80", "::1:80", "rédis:80",
        "user@redis:80", "redis:http", "redis:99999", "[10.0.0.1]:80", "redis\n:80",
    ])
    func everythingElseIsRefused(text: String) {
        #expect(HostPort(text) == nil)
    }

    @Test func onlyLiteralsAreEndpoints() {
        #expect(HostPort("10.0.0.1:80")?.endpoint?.description == "10.0.0.1:80")
        #expect(HostPort("[::1]:80")?.endpoint?.description == "[::1]:80")
        #expect(HostPort("redis:80")?.endpoint == nil)
        // What merely looks like an address is a name, and stays one.
        #expect(HostPort("127.1:80")?.endpoint == nil)
        #expect(HostPort("2130706433:80")?.endpoint == nil)
    }

    @Test(
        arguments: [
            ("0", 0), ("65535", 65_535), ("00001", 1), ("65536", nil), ("", nil), ("-1", nil), ("+1", nil), ("1 ", nil),
            ("000001", nil), ("٣", nil),
        ] as [(String, UInt16?)])
    func portsAreFiveDecimalDigitsAtMost(text: String, port: UInt16?) {
        #expect(HostPort.parsePort(text) == port)
    }
}
