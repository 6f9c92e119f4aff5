// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// The static ambassador.
@Suite(.tags(.integration), .untilHung)
struct ForwardTests {
    @Test func usesTheFirstTargetAndTheNextOnFailure() async throws {
        try await withStage { stage in
            let first = try await stage.backend(Backend.naming("first"))
            let second = try await stage.backend(Backend.naming("second"))
            let forward = try await stage.forward(["\(first.endpoint)", "\(second.endpoint)"])
            try await withClientLoop(to: forward.endpoint, pause: .milliseconds(5)) { loop in
                try await waitFor("some rounds") { loop.rounds.count > 30 }
                #expect(loop.counts.keys.sorted() == ["first"])
                try await loop.betweenRounds { first.refuse() }
                let refused = ContinuousClock.now
                try await eventually("next target used", within: .milliseconds(250), since: refused) {
                    loop.counts["second", default: 0] > 0
                }
                // The third refusal takes it out of use for 5 s (docs/promises.md, "Defaults"), and the loop brings that about
                // sooner or later: waited for, so that what is promised next does not hang on how fast this machine is.
                try await waitFor("first out of use") { forward.count(of: "instance is out of use") > 0 }
                let ejected = ContinuousClock.now
                let again = try await stage.backend(port: first.endpoint.port, Backend.naming("first again"))
                try await eventually("first target used again", within: .seconds(6), since: ejected) {
                    loop.counts["first again", default: 0] > 0
                }
                try await loop.betweenRounds { again.refuse() }
                try await waitFor("second again") { loop.rounds.last?.name == "second" }
                #expect(loop.failures.isEmpty)
            }
        }
    }

    @Test(arguments: [("127.0.0.1", IPAddress.loopbackV4), ("[::1]", .loopbackV6), ("localhost", .loopbackV4)])
    func takesAddressesOfBothFamiliesAndNames(host: String, address: IPAddress) async throws {
        try await withStage { stage in
            let backend = try await stage.backend(on: address, Backend.naming("it"))
            let forward = try await stage.forward(["\(host):\(backend.endpoint.port)"])
            #expect(try await servedBy(forward.endpoint) == "it")
        }
    }

    @Test(arguments: ["0", "127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"])
    func listensWhereItIsTold(listen: String) async throws {
        try await withStage { stage in
            let backend = try await stage.backend(Backend.naming("it"))
            let forward = try await stage.forward(["\(backend.endpoint)"], listen: listen)
            let port = forward.endpoint.port
            let families: [IPAddress] =
                switch listen {
                case "0": [.loopbackV4, .loopbackV6]
                case "127.0.0.1:0", "0.0.0.0:0": [.loopbackV4]
                default: [.loopbackV6]
                }
            for address in families { #expect(try await servedBy(Endpoint(address, port: port)) == "it") }
            guard listen == "127.0.0.1:0" else { return }
            await #expect(throws: SocketFailure.self) { try await servedBy(Endpoint(.loopbackV6, port: port)) }
        }
    }

    /// docs/promises.md, "Defaults": rounds of attempts until 5 s are over.
    @Test func aTargetThatRestartsForASecondCostsNoError() async throws {
        try await withStage { stage in
            let backend = try await stage.backend(Backend.naming("before"))
            let port = backend.endpoint.port
            let forward = try await stage.forward(["\(backend.endpoint)"])
            backend.close()
            async let served = servedBy(forward.endpoint)
            try await Task.sleep(for: .seconds(1))
            _ = try await stage.backend(port: port, Backend.naming("after"))
            #expect(try await served == "after")
        }
    }

    @Test func aClientIsResetWhenNoTargetCouldBeReached() async throws {
        try await withStage { stage in
            let dead = try FreePorts.take()
            let forward = try await stage.forward(["127.0.0.1:\(dead)"])
            let start = ContinuousClock.now
            #expect(try await isReset(forward.endpoint, limit: .seconds(30)))
            let took = ContinuousClock.now - start
            report(took, "reset after all attempts", promise: .seconds(5))
            #expect(took > .seconds(4) && took < .seconds(15))
        }
    }

    @Test func aPortThatIsTakenIsAnErrorThatNamesIt() async throws {
        try await withStage { stage in
            let backend = try await stage.backend()
            let outcome = try await stage.runLegation(["forward", "--listen", "\(backend.endpoint)", "127.0.0.1:1"])
            #expect(!outcome.succeeded)
            #expect(outcome.errors.contains("\(backend.endpoint)"), "\(outcome)")
        }
    }

    /// With SO_REUSEPORT a second process of the same user would be let in silently.
    @Test func aSecondOneOnTheSamePortIsRefused() async throws {
        try await withStage { stage in
            let backend = try await stage.backend()
            let first = try await stage.forward(["\(backend.endpoint)"])
            let outcome = try await stage.runLegation(
                ["forward", "--listen", "\(first.endpoint)", "\(backend.endpoint)"])
            #expect(!outcome.succeeded && outcome.errors.contains("\(first.endpoint)"), "\(outcome)")
        }
    }
}
