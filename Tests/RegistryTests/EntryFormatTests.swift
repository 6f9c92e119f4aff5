// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

/// Entries as the documents of other projects show them, and what must not pass for one.
@Suite struct EntryFormatTests {
    private func decode(
        _ text: String, as format: EntryFormat, key: String = "/services/a/b"
    ) throws(SkipReason) -> InstanceRecord {
        try format.decode(Array(text.utf8), key: key)
    }

    private func detect(_ text: String) -> EntryFormat { EntryFormat(detecting: Array(text.utf8)) }

    @Test func readsRegistratorsEntries() throws {
        let tcp = try decode("10.0.0.1:49153", as: .registrator, key: "/services/redis/host-1:redis-demo:6379")
        #expect(tcp.endpoint == Endpoint("10.0.0.1:49153") && tcp.tcpProblem == nil)
        #expect(tcp.node == "host-1" && tcp.container == "redis-demo")
        #expect(tcp.weight == 100 && tcp.state == .up)
        let udp = try decode("[fd00::1]:53", as: .registrator, key: "/services/dns/host-1:dns:53:udp")
        #expect(udp.endpoint == Endpoint("[fd00::1]:53") && udp.tcpProblem == .proto)
        let odd = try decode("10.0.0.1:1", as: .registrator, key: "/services/dns/whatever")
        #expect(odd.node == nil && odd.container == nil)
    }

    /// client/v3/naming/endpoints: `Add(ctx, "foo/bar/my-service/e1", Endpoint{Addr: "1.2.3.4:80"})`.
    @Test func readsEtcdsOwnNaming() throws {
        let plain = try decode(#"{"Op":0,"Addr":"1.2.3.4:80","Metadata":null}"#, as: .naming)
        #expect(plain.endpoint == Endpoint("1.2.3.4:80") && plain.meta.isEmpty)
        let told = try decode(#"{"Op":0,"Addr":"[::1]:80","Metadata":{"zone":"a"}}"#, as: .naming)
        #expect(told.meta["zone"] == .string("a"))
        let word = try decode(#"{"Addr":"1.2.3.4:80","Metadata":"x"}"#, as: .naming)
        #expect(word.meta["metadata"] == .string("x"))
    }

    @Test func readsSkyDNSAndCoreDNS() throws {
        let least = try decode(#"{"host":"1.1.1.1","port":8080}"#, as: .skydns)
        #expect(least.endpoint == Endpoint("1.1.1.1:8080") && least.weight == 100 && least.priority == 0)
        let whole = try decode(
            #"{"host":"10.1.1.1","port":80,"priority":20,"weight":0,"text":"x","ttl":60,"group":"g1","mail":false}"#,
            as: .skydns)
        #expect(whole.weight == 100 && whole.priority == 10 && whole.meta["text"] == .string("x"))
        #expect(throws: SkipReason.name) { try decode(#"{"host":"web.example.com","port":80}"#, as: .skydns) }
        #expect(throws: SkipReason.port) { try decode(#"{"host":"10.1.1.1"}"#, as: .skydns) }
    }

    @Test func readsKratosAndPrefersGRPC() throws {
        let record = try decode(
            #"""
            {"id":"h-1","name":"greeter","version":"v1","metadata":{"zone":"a"},
             "endpoints":["http://10.0.0.1:8000?isSecure=false","grpc://10.0.0.1:9000?isSecure=false"]}
            """#, as: .kratos)
        #expect(record.endpoint == Endpoint("10.0.0.1:9000"))
        #expect(record.meta["zone"] == .string("a") && record.meta["version"] == .string("v1"))
        let web = try decode(#"{"endpoints":["http://[fd00::1]:8000/path"]}"#, as: .kratos)
        #expect(web.endpoint == Endpoint("[fd00::1]:8000"))
    }

    @Test func readsGoZeroAndNerve() throws {
        #expect(try decode("10.0.0.1:8080", as: .goZero, key: "user.rpc/7587").endpoint == Endpoint("10.0.0.1:8080"))
        let nerve = try decode(
            #"{"host":"10.0.0.1","port":3306,"name":"db1","weight":5,"labels":{"az":"b"}}"#, as: .nerve)
        #expect(nerve.endpoint == Endpoint("10.0.0.1:3306") && nerve.weight == 5 && nerve.meta["az"] == .string("b"))
        #expect(try decode(#"{"host":"10.0.0.1","port":1,"name":"a"}"#, as: .nerve).weight == 1)
    }

    @Test(arguments: [
        (#"{"port":49153,"host":"10.0.0.1"}"#, EntryFormat.legation), (#"{"v":1,"Addr":"x"}"#, .legation),
        (" \n{\"Addr\":\"1.2.3.4:80\"}", .naming), ("10.0.0.1:49153\n", .registrator),
        (#"{"host":"10.0.0.1","port":1,"ttl":30}"#, .skydns), (#"{"endpoints":[]}"#, .kratos),
        ("redis:6379", .registrator), ("10.0.0.1:0", .registrator), (#"["127.0.0.1:80"]"#, .legation),
        ("\u{feff}10.0.0.1:1", .legation), (#"{"port":1} {}"#, .legation), ("a b:80", .legation),
        (#"{"host":"10.0.0.1","port":1,"name":"a","labels":{}}"#, .nerve), ("", .legation), ("7", .legation),
        ("{", .legation), (#"{"name":"a","host":"10.0.0.1","port":1}"#, .nerve),
        (#"{"name":"a","host":"10.0.0.1","port":1,"weight":5}"#, .nerve), (#"{"name":"a","port":1}"#, .legation),
        (#"{"name":"a","host":"10.0.0.1","port":1,"state":"up"}"#, .legation),
    ])
    func tellsThemApart(value: String, format: EntryFormat) { #expect(detect(value) == format) }

    @Test(arguments: [
        ("10.0.0.1", EntryFormat.registrator, SkipReason.host), ("10.0.0.1:0", .registrator, .port),
        ("redis:6379", .goZero, .name), ("010.0.0.1:1", .registrator, .host), ("10.0.0.1:1 x", .goZero, .host),
        ("", .goZero, .host), ("{}", .goZero, .host), ("{}", .naming, .host), ("[]", .naming, .json),
        (#"{"Op":1,"Addr":"1.2.3.4:80"}"#, .naming, .state), (#"{"Addr":"a b:80"}"#, .naming, .host),
        (#"{"endpoints":["grpc:10.0.0.1:9000"]}"#, .kratos, .host), (#"{"endpoints":[7]}"#, .kratos, .host),
        (#"{"endpoints":["grpc://10.0.0.1"]}"#, .kratos, .host),
        (#"{"endpoints":["grpc://@10.0.0.1:1"]}"#, .kratos, .host),
        (#"{"host":"10.0.0.1","port":1,"weight":-1}"#, .nerve, .weight),
        (#"{"host":"10.0.0.1","port":1,"weight":"1"}"#, .skydns, .weight),
        (#"{"host":"10.0.0.1","port":1,"priority":"1"}"#, .skydns, .field),
    ])
    func saysWhyAnEntryIsOfNoUse(value: String, format: EntryFormat, reason: SkipReason) {
        #expect(throws: reason) { try decode(value, as: format) }
    }

    @Test func refusesALongValueUnread() {
        let long = [UInt8](repeating: UInt8(ascii: "1"), count: InstanceRecord.maximumLength + 1)
        for format in EntryFormat.allCases {
            #expect(throws: SkipReason.valueTooLong) { try format.decode(long, key: "/services/a/b") }
        }
        #expect(EntryFormat(detecting: long) == .legation)
    }
}
