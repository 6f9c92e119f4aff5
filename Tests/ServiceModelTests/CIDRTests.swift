// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import ServiceModel

@Suite struct CIDRTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "9.255.255.255", false),
        ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "::1", false), ("::/0", "203.0.113.9", false),
        ("::/0", "2001:db8::1", true), ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
        ("192.0.2.128/25", "192.0.2.127", false), ("192.0.2.128/25", "192.0.2.128", true),
        ("192.0.2.0/31", "192.0.2.1", true), ("192.0.2.0/31", "192.0.2.2", false), ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe00::", false), ("2001:db8::/64", "2001:db8::ffff:0:0:1", true),
        ("2001:db8::/64", "2001:db8:0:1::", false), ("2001:db8::/65", "2001:db8::8000:0:0:0", false),
        ("::1", "::1", true),
        ("::1/128", "::2", false), ("127.0.0.0/8", "::ffff:127.0.0.1", true), ("::ffff:10.0.0.0/8", "10.1.2.3", true),
    ])
    func containsWhatSharesThePrefix(block: String, address: String, expected: Bool) throws {
        #expect(try #require(CIDR(block)).contains(#require(IPAddress(address))) == expected)
    }

    @Test(arguments: [
        ("10.1.2.3/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("fd00::1", "fd00::1/128"),
        ("FD12:3456::1/16", "fd12::/16"), ("1.2.3.4/0", "0.0.0.0/0"), ("ffff::/0", "::/0"),
        ("2001:db8:1:2:3::/79", "2001:db8:1:2:2::/79"), ("::ffff:10.1.2.3/8", "10.0.0.0/8"),
    ])
    func bitsBeyondThePrefixAreCleared(text: String, canonical: String) throws {
        let block = try #require(CIDR(text))
        #expect(block.description == canonical)
        #expect(CIDR(canonical) == block)
    }

    @Test(arguments: [
        "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/ 8",
        "::/129",
        "10.0.0.0/0x8", "10.0.0.0/٨", "name/8", "10.0.0/8", "10.0.0.0/1000", "::ffff:10.0.0.0/104", "10.0.0.0/08",
        "10.0.0.0/255.0.0.0",
    ])
    func otherFormsAreRefused(text: String) {
        #expect(CIDR(text) == nil)
    }

    @Test func prefixCountsAsTheFamilyDoes() throws {
        let v4 = try #require(IPAddress("10.0.0.0"))
        let v6 = try #require(IPAddress("fd00::"))
        #expect(CIDR(v4, prefix: 33) == nil && CIDR(v4, prefix: -1) == nil && CIDR(v6, prefix: 129) == nil)
        #expect(CIDR(v4, prefix: 8)?.description == "10.0.0.0/8")
        #expect(CIDR(v6, prefix: 8)?.description == "fd00::/8")
    }
}
