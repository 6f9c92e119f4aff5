// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// SIGTERM (docs/promises.md, "Defaults"): stop advertising, stop accepting, let connections end up to the grace, reset the
/// rest, exit 0; a second signal: now.
@Suite(.tags(.integration), .untilHung)
struct SignalTests {
    enum Relaying: String, CaseIterable, Sendable { case forward, proxy }

    @Test(arguments: Relaying.allCases)
    func endsAtOnceWhenNothingIsOpen(kind: Relaying) async throws {
        try await withStage { stage in
            let (relay, _) = try await Self.start(kind, on: stage, grace: "30s")
            try relay.process.terminate()
            try await eventually("\(kind) ends when idle", within: .seconds(1)) { relay.process.exitStatus != nil }
            #expect(relay.process.exitStatus == .code(0))
        }
    }

    @Test(arguments: Relaying.allCases)
    func letsConnectionsEndAndTakesNoNewOnes(kind: Relaying) async throws {
        try await withStage { stage in
            let (relay, _) = try await Self.start(kind, on: stage, grace: "30s")
            let live = try await Self.open(relay)
            try relay.process.terminate()
            try await eventually("\(kind) refuses new connections", within: .milliseconds(300)) {
                try await isReset(relay.endpoint)
            }
            for _ in 0..<3 {
                #expect(try await blocking { try live.exchange("still here") } == "still here")
            }
            #expect(relay.process.exitStatus == nil)
            live.close()
            try await eventually("\(kind) ends with its last connection", within: .seconds(1)) {
                relay.process.exitStatus != nil
            }
            #expect(relay.process.exitStatus == .code(0))
        }
    }

    @Test(arguments: Relaying.allCases)
    func resetsWhatIsLeftAfterTheGrace(kind: Relaying) async throws {
        try await withStage(.waiting) { stage in
            let (relay, _) = try await Self.start(kind, on: stage, grace: "2s")
            let live = try await Self.open(relay)
            let asked = ContinuousClock.now
            try relay.process.terminate()
            let failure = try await Self.failure(of: live)
            report(ContinuousClock.now - asked, "\(kind) resets after its grace", promise: .seconds(2))
            #expect(failure?.isReset == true, "\(String(describing: failure))")
            #expect(ContinuousClock.now - asked > .milliseconds(1900))
            #expect(try await relay.process.end() == .code(0))
            #expect(ContinuousClock.now - asked < .seconds(6))
        }
    }

    @Test(arguments: Relaying.allCases)
    func aSecondSignalEndsItNow(kind: Relaying) async throws {
        try await withStage { stage in
            let (relay, _) = try await Self.start(kind, on: stage, grace: "60s")
            let live = try await Self.open(relay)
            try relay.process.terminate()
            try await waitFor("it to stop accepting") { try await isReset(relay.endpoint) }
            try relay.process.terminate()
            try await eventually("\(kind) ends on a second signal", within: .seconds(1)) {
                relay.process.exitStatus != nil
            }
            #expect(relay.process.exitStatus == .code(0))
            #expect(try await Self.failure(of: live)?.isReset == true)
        }
    }

    @Test func aSecondSignalEndsARegistratorNow() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let endpoint = Endpoint(.loopbackV4, port: 6379)
            let registrator = try await stage.register("web", endpoint, etcd: etcd, ["--drain-time", "60s"])
            try registrator.process.terminate()
            try await waitFor("draining") {
                try await etcd.key(registrator.key)?.json["state"] as? String == "draining"
            }
            try registrator.process.terminate()
            try await eventually("register ends on a second signal", within: .seconds(2)) {
                registrator.process.exitStatus != nil
            }
            // What it leaves undone, the lease's end will do.
            let status = registrator.process.exitStatus
            #expect(status == .code(0) || status == .code(1), "\(String(describing: status))")
        }
    }

    @Test func interruptsAreTreatedLikeTermination() async throws {
        try await withStage { stage in
            let (relay, _) = try await Self.start(.forward, on: stage, grace: "30s")
            try relay.process.signal(2)
            #expect(try await relay.process.end() == .code(0))
        }
    }

    @Test func endsWhileEtcdIsAway() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(start: false)
            let endpoint = Endpoint(.loopbackV4, port: 6379)
            let register = try await stage.legation(stage.registerArguments("web", endpoint, etcd: etcd))
            try await register.firstLine(containing: "waiting for the registry")
            let proxy = try await stage.legation(stage.proxyArguments("web", etcd: etcd, ["--start-empty"]))
            _ = try await proxy.listeningEndpoint()
            try register.terminate()
            try proxy.terminate()
            try await eventually("register ends without etcd", within: .seconds(2)) { register.exitStatus != nil }
            try await eventually("proxy ends without etcd", within: .seconds(2)) { proxy.exitStatus != nil }
            #expect(register.exitStatus == .code(0) && proxy.exitStatus == .code(0))
        }
    }

    /// Withdrawing from an etcd that hangs must not hang us: the lease's end says that we are gone.
    @Test func endsWhileEtcdHangs() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            let endpoint = Endpoint(.loopbackV4, port: 6379)
            let registrator = try await stage.register("web", endpoint, etcd: etcd)
            try etcd.pause()
            try registrator.process.terminate()
            // Drain time 1 s, and 1 s for each of draining, delete and revoke.
            try await eventually("register ends with a hanging etcd", within: .seconds(5)) {
                registrator.process.exitStatus != nil
            }
        }
    }

    @Test(arguments: ["services", "nodes", "check-etcd"])
    func aQuestionThatNobodyAnswersEnds(command: String) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            try etcd.pause()
            let process = try await stage.legation([command] + etcd.arguments)
            try await Task.sleep(for: .milliseconds(300))
            #expect(process.exitStatus == nil, "it waits for etcd: \(process.lastLines())")
            try process.terminate()
            try await eventually("\(command) ends on SIGTERM", within: .seconds(1)) { process.exitStatus != nil }
            #expect(process.exitStatus != .code(0))
        }
    }

    @Test(arguments: ["services", "nodes", "check-etcd"])
    func aQuestionToNobodyFailsByItself(command: String) async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd(start: false)
            let outcome = try await stage.runLegation([command] + etcd.arguments, within: .seconds(60))
            #expect(outcome.status == .code(1), "\(outcome)")
            #expect(outcome.errors.contains("\(etcd.endpoint)") || outcome.output.contains("\(etcd.endpoint)"))
        }
    }

    // MARK: - Parts

    private static func start(_ kind: Relaying, on stage: Stage, grace: String) async throws -> (Proxy, Backend) {
        let backend = try await stage.backend(Backend.naming("it"))
        let more = ["--shutdown-grace", grace]
        if kind == .forward { return (try await stage.forward(["\(backend.endpoint)"], more), backend) }
        let etcd = try await stage.etcd()
        try await etcd.putInstance("/services/web/it", backend.endpoint)
        return (try await stage.proxy("web", etcd: etcd, more), backend)
    }

    /// A connection that has carried something.
    private static func open(_ relay: Proxy) async throws -> TCPConnection {
        try await blocking { [endpoint = relay.endpoint] in
            let connection = try TCPConnection.connect(to: endpoint, limit: .seconds(30))
            guard try connection.receiveLine() == "it" else { throw Unexpected("not served") }
            return connection
        }
    }

    /// How a connection ended, nil: in order.
    private static func failure(of connection: TCPConnection) async throws -> SocketFailure? {
        try await blocking {
            do {
                _ = try connection.receiveToEnd()
                return nil
            } catch let failure as SocketFailure {
                return failure
            }
        }
    }
}
