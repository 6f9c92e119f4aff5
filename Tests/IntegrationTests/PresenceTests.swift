// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Two hosts under one name, and several registrators of one host.
@Suite(.tags(.integration), .untilHung)
struct PresenceTests {
    private static let foreign = #"{"v":1,"node":"hostA","address":"10.77.0.9","version":"0","boot":"another"}"#

    @Test func anotherHostUnderOurNameIsLoggedAndNeverFoughtOver() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let rival = "/services-nodes/hostA/by-hand"
            try await etcd.put(rival, Self.foreign)
            let backend = try await stage.backend(Backend.naming("A"))
            let process = try await stage.legation(stage.registerArguments("web", backend.endpoint, etcd: etcd))
            let line = try await process.firstLine(containing: "two hosts call themselves")
            #expect(LogFields(line.text)["node"] == "hostA" && LogFields(line.text)["boot"] == "another")

            // It tries again (0.5 s doubled to 10 s) and leaves the other's key alone meanwhile.
            let before = try #require(try await etcd.key(rival))
            try await etcd.withChanges("/services") { changes in
                try await Task.sleep(for: .seconds(4))
                #expect(changes.all.allSatisfy { $0.key.key != rival })
            }
            #expect(try await etcd.key(rival) == before)
            #expect(try await etcd.keys("/services/web/").isEmpty)
            #expect(process.lines(containing: "two hosts call themselves").count == 1)
            #expect(process.exitStatus == nil)

            try await etcd.delete(rival)
            try await eventually("registered once the other was gone", within: .seconds(11)) {
                try await etcd.keys("/services/web/").count == 1
            }
        }
    }

    @Test func siblingsOfOneHostAreFine() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            var registrators: [RegisterProcess] = []
            for port: UInt16 in 7001...7003 {
                registrators.append(
                    try await stage.register("web", Endpoint(.loopbackV4, port: port), etcd: etcd))
            }
            #expect(try await etcd.keys("/services/web/").count == 3)
            let presence = try await etcd.keys("/services-nodes/hostA/")
            #expect(presence.count == 3)
            #expect(Set(presence.compactMap { $0.json["boot"] as? String }).count == 1)
            for registrator in registrators {
                #expect(registrator.process.lines(containing: "two hosts").isEmpty)
            }
        }
    }
}
