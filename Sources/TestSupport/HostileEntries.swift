// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Keys and values made to break a reader: good ones, spoilt by chance, the same from the same seed.
package struct HostileEntries: Sendable {
    /// Values to begin with, one of each form.
    package static let seeds = [
        #"{"v":1,"host":"10.0.0.1","port":6379,"weight":100,"tags":["a"],"meta":{"k":[1,{"x":null}]},"state":"up"}"#,
        "10.0.0.1:49153", "[fd00::1]:53", #"{"Op":0,"Addr":"1.2.3.4:80","Metadata":{"zone":"a"}}"#,
        #"{"host":"10.1.1.1","port":80,"priority":20,"weight":0,"text":"x","ttl":60,"group":"g1","mail":false}"#,
        #"{"id":"h","name":"n","version":"v1","metadata":{},"endpoints":["grpc://10.0.0.1:9000?isSecure=false"]}"#,
        #"{"host":"10.0.0.1","port":3306,"name":"db1","weight":5,"labels":{"az":"b"}}"#,
        #"{"v":1,"weight":7,"by":"a","since":"s","until":"2026-11-22T11:00:00Z"}"#,
        #"{"v":1,"host":"10.0.0.9","port":3,"node":"hostP","since":"s","until":"u"}"#,
        #"{"host":"db.example.lan","port":5432,"priority":3,"zone":"eu"}"#, "db.example.lan:5432",
    ]

    /// What would be worth an attacker's while to slip in: addresses first.
    private static let addresses = [
        "169.254.169.254", "127.0.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1", "0x7f.1", "2130706433", "017700000001",
        "fe80::1%eth0", "fd00:ec2::254", "::", "::ffff:169.254.169.254", "224.0.0.1", "8.8.8.8", "evil.example.lan",
        "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1", "127.0.0.1\u{0}", "10.0.0.1\u{0}.example",
    ]
    private static let pieces =
        addresses + [
            "1e9", "-1", "65536", "18446744073709551616", "1e400", "NaN", "\\u0000", "\\ud800", "\u{0}", "{", "}", "[",
            "]", "\"", ":", ",", "//", "grpc://", "é", "\u{1F9E8}", String(repeating: "[", count: 40),
            String(repeating: "9", count: 400), String(repeating: "x", count: 5000), #""weight":1001"#,
            #""host":"127.0.0.1","#,
        ]

    package var chance: SplitMix

    package init(seed: UInt64) { chance = SplitMix(seed: seed) }

    /// A value of some form, most of the time a little wrong.
    package mutating func value() -> [UInt8] {
        var bytes = Array(Self.one(of: Self.seeds, &chance).utf8)
        for _ in 0..<Int.random(in: 0...6, using: &chance) {
            let place = Int.random(in: 0...bytes.count, using: &chance)
            switch Int.random(in: 0..<6, using: &chance) {
            case 0: bytes.insert(contentsOf: Self.one(of: Self.pieces, &chance).utf8, at: place)
            case 1 where place < bytes.count: bytes[place] = UInt8.random(in: 0...255, using: &chance)
            case 2 where place < bytes.count:
                bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...8, using: &chance)))
            case 3: bytes += bytes.prefix(place)
            default:
                // An address for an address, so that much of it stays readable.
                let text = String(decoding: bytes, as: UTF8.self)
                let other = Self.one(of: Self.addresses, &chance)
                bytes = Array(
                    text.replacing("10.0.0.1", with: other).replacing("1.2.3.4", with: other)
                        .replacing("10.1.1.1", with: other).utf8)
            }
        }
        return bytes
    }

    /// The last part of a key, or several parts: of few, so that keys come again.
    package mutating func instance() -> String {
        switch Int.random(in: 0..<10, using: &chance) {
        case 0: String(decoding: value().prefix(80), as: UTF8.self)
        case 1: Self.one(of: Self.pieces, &chance)
        case 2: "sub/" + "\(Int.random(in: 0..<5, using: &chance))"
        default: "hostA:redis-\(Int.random(in: 0..<40, using: &chance)):6379"
        }
    }

    private static func one(of texts: [String], _ chance: inout SplitMix) -> String {
        texts[Int.random(in: texts.indices, using: &chance)]
    }
}
