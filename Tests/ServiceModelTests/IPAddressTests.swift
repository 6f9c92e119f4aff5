// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import ServiceModel

@Suite struct IPAddressTests {
    @Test(
        arguments: [
            ("0.0.0.0", 0), ("127.0.0.1", 0x7f00_0001), ("255.255.255.255", 0xffff_ffff), ("10.77.0.1", 0x0a4d_0001),
        ] as [(String, UInt32)])
    func ipv4IsParsedAndPrintedAsItIs(text: String, bits: UInt32) throws {
        let address = try #require(IPAddress(text))
        #expect(address.v4 == bits)
        #expect(address.isV4)
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", ".", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.1.1.256", "01.2.3.4", "1.2.3.00", "0x7f.0.0.1", "1.2.3.4 ",
        " 1.2.3.4", "+1.2.3.4", "-1.2.3.4", "1..3.4", "1.2.3.", "2130706433", "0x7f000001", "1.2.3.4/8", "a.b.c.d",
        "١.٢.٣.٤", "1.2.3.4\0", "127.1", "1e1.2.3.4",
    ])
    func otherFormsOfIPv4AreRefused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(
        arguments: [
            ("::", 0, 0), ("::1", 0, 1), ("1::", 0x0001_0000_0000_0000, 0),
            ("2001:db8:0:1:2:3:4:5", 0x2001_0db8_0000_0001, 0x0002_0003_0004_0005),
            ("FE80::ABCD", 0xfe80_0000_0000_0000, 0xabcd),
            ("1:2:3:4:5:6:7::", 0x0001_0002_0003_0004, 0x0005_0006_0007_0000),
            ("::2:3:4:5:6:7:8", 0x0000_0002_0003_0004, 0x0005_0006_0007_0008),
            ("64:ff9b::192.0.2.33", 0x0064_ff9b_0000_0000, 0xc000_0221),
            ("1:2:3:4:5:6:1.2.3.4", 0x0001_0002_0003_0004, 0x0005_0006_0102_0304),
            ("0000:0000:0000:0000:0000:0000:0000:0001", 0, 1),
        ] as [(String, UInt64, UInt64)])
    func ipv6IsParsed(text: String, high: UInt64, low: UInt64) throws {
        let address = try #require(IPAddress(text))
        #expect(address.high == high && address.low == low)
        #expect(!address.isV4 && address.v4 == nil)
    }

    @Test(arguments: [
        ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::1%lo",
        "fe80::1%1",
        "[::1]", "::1/128", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1.2.3.4::",
        "::1.2.3", "::1.2.3.4.5", "::01.2.3.4", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::+1", "::-1", "::0x1", " ::1",
        "::1 ", "::１", "1:2:3:4:5:6:7:8:", "::ffff:1.2.3.256", "1:::2", "00001::",
    ])
    func otherFormsOfIPv6AreRefused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    /// RFC 5952: lower case, no leading zeros, the longest run of zeros (of two at least, the first of equals) as `::`.
    @Test(arguments: [
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("0:0:0:0:0:0:0:0", "::"), ("0:0:0:0:0:0:0:1", "::1"), ("1:0:0:0:0:0:0:0", "1::"), ("::00a0", "::a0"),
    ])
    func ipv6IsPrintedInItsOneForm(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
    }

    @Test func mappedIPv6IsIPv4() throws {
        for text in ["::ffff:127.0.0.1", "::FFFF:7f00:1", "0:0:0:0:0:ffff:7f00:0001"] {
            let address = try #require(IPAddress(text))
            #expect(address == .loopbackV4)
            #expect(address.isV4 && address.isLoopback)
            #expect(address.description == "127.0.0.1")
        }
        // The deprecated "compatible" form is IPv6, and no way to spell a loopback address.
        #expect(IPAddress("::127.0.0.1")?.isV4 == false)
    }

    @Test func loopbackAndUnspecifiedAreKnownInBothFamilies() throws {
        #expect(try #require(IPAddress("127.255.0.9")).isLoopback)
        #expect(try #require(IPAddress("::1")).isLoopback)
        #expect(try !#require(IPAddress("128.0.0.1")).isLoopback)
        #expect(try !#require(IPAddress("::2")).isLoopback)
        #expect(try #require(IPAddress("0.0.0.0")).isUnspecified)
        #expect(try #require(IPAddress("::ffff:0.0.0.0")).isUnspecified)
        #expect(try #require(IPAddress("::")).isUnspecified)
        #expect(try !#require(IPAddress("0.0.0.1")).isUnspecified)
    }

    @Test func orderIsByNumber() throws {
        let texts = ["::", "::1", "9.255.255.255", "10.0.0.2", "10.0.0.10", "64:ff9b::", "ffff::"]
        let addresses = try texts.map { try #require(IPAddress($0)) }
        #expect(addresses.shuffled().sorted() == addresses)
    }

    @Test(arguments: UInt64(1)...50)
    func whatIsPrintedIsReadBack(seed: UInt64) {
        var state = seed
        for _ in 0..<100 {
            // Zero groups often, so that every place of `::` comes up.
            let groups = (0..<8).map { _ -> UInt64 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return state >> 62 == 0 ? state >> 48 : 0
            }
            let join = { (slice: ArraySlice<UInt64>) in slice.reduce(0) { $0 << 16 | $1 } }
            let address = IPAddress(high: join(groups[..<4]), low: join(groups[4...]))
            #expect(IPAddress(address.description) == address, "\(address)")
        }
    }
}
