// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// As many connections as there are descriptors for, and as many one after another as a busy day brings, while a hundred
/// times a second others of their services come and go. Run by itself (`Scripts/test integration`): it takes the machine.
@Suite(.tags(.integration), .serialized, .timeLimit(.minutes(10)))
struct CrowdTests {
    /// Below what 20,000 descriptors allow: (20,000 - 256 - 2 × 32) / 2.
    private static let atOnce = 9_000
    private static let inSequence = 100_000
    private static let changesPerSecond = 100
    /// So many at once make them: etcd answers late while a crowd takes the machine.
    private static let writers = 10
    private static let services = ["crowd-A", "crowd-B"]
    /// Instances that come and go, of each service.
    private static let changing = 20

    enum User: String, CaseIterable, CustomTestStringConvertible {
        case root
        /// Of the image, and of nobody else.
        case unprivileged

        var testDescription: String { rawValue }
    }

    @Test(.row("F18", "D12"), arguments: User.allCases)
    func nobodyInACrowdSeesAnErrorWhileInstancesComeAndGo(user: User) async throws {
        try await withStage(.heavy) { stage in
            let etcd = try await stage.etcd()
            let port = try FreePorts.take()
            let backend = try await stage.start(Self.crowd(["backend", "\(port)"]))
            try await backend.firstLine(containing: "ready")
            for service in Self.services {
                try await etcd.putInstance("/services/\(service)/unchanged", Endpoint(.loopbackV4, port: port))
            }
            let proxy = try await stage.start(Self.proxy(etcd, as: user, in: stage))
            let doors = try await Self.services.asyncMap { try await proxy.listeningEndpoint(link: $0) }.map { "\($0)" }

            let fresh = try proxy.anonymousBytes
            // The first of all pays for what is made but once: tables grow to their size, stacks are touched.
            try await Self.succeeds(stage, ["at-once", "\(Self.atOnce)", "0"] + doors)
            let (descriptors, memory) = (try await proxy.settledDescriptors(), try proxy.anonymousBytes)
            #expect(memory - fresh <= Self.atOnce * Self.bytesOfAConnection, "\(memory - fresh) bytes")
            let changes = try await Self.withChanges(of: port, in: etcd) {
                try await Self.succeeds(stage, ["at-once", "\(Self.atOnce)", "5"] + doors)
                try await Self.succeeds(stage, ["in-sequence", "\(Self.inSequence)"] + doors)
            }
            try await waitFor("its descriptors to be those of the beginning") {
                try proxy.descriptorCount == descriptors
            }
            let growth = try proxy.anonymousBytes - memory
            print("crowd as \(user.rawValue): \(changes), memory grew by \(growth / 1024) KiB of \(memory / 1024)")
            #expect(growth <= Self.mostGrowth)
        }
    }

    /// Of an idle connection, docs/promises.md, "The relay"; here it has carried words, too.
    private static let bytesOfAConnection = 1_536
    /// What an allocator may keep of 100,000 connections that came and went: not 11 bytes of each.
    private static let mostGrowth = 1 << 20

    private static func crowd(_ arguments: [String]) -> Command {
        Command("\(PackageRoot.path)/Scripts/crowd", arguments)
    }

    private static func succeeds(_ stage: Stage, _ arguments: [String]) async throws {
        let outcome = try await stage.run(crowd(arguments), within: .seconds(240))
        print("crowd: \(outcome.output.trimmingCharacters(in: .whitespacesAndNewlines))")
        #expect(outcome.succeeded, "\(outcome)")
    }

    private static func proxy(_ etcd: EtcdProcess, as user: User, in stage: Stage) throws -> Command {
        let arguments =
            ["proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8"] + etcd.arguments
            + services.map { "\($0):0" }
        guard user == .unprivileged else { return try LegationBinary.command(arguments) }
        // Where that user may read it, wherever it was built.
        let binary = try stage.directory() + "/legation"
        try FileManager.default.copyItem(atPath: LegationBinary.path, toPath: binary)
        let becoming = ["--reuid", "65532", "--regid", "65532", "--clear-groups", "--inh-caps=-all", binary]
        return Command("setpriv", becoming + arguments)
    }

    /// Changes one instance of a service after another for as long as `body` runs, `changesPerSecond` in all.
    /// - Returns: how many, and in which time.
    private static func withChanges(
        of port: UInt16, in etcd: EtcdProcess, _ body: @escaping @Sendable () async throws -> Void
    ) async throws -> String {
        let start = ContinuousClock.now
        let made = try await withThrowingTaskGroup(of: Int.self) { group in
            for writer in 0..<writers {
                group.addTask { try await changeUntilCancelled(from: writer, port, etcd, since: start) }
            }
            group.addTask {
                try await body()
                return 0
            }
            // The changes never end by themselves: whoever comes first is the body, or has failed.
            let first = try await group.next() ?? 0
            group.cancelAll()
            return try await group.reduce(first, +)
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        // The figure is not the point, on a machine that does something else as well; that there were many is.
        #expect(Double(made) >= 0.5 * Double(changesPerSecond) * seconds, "too few changes")
        return String(format: "%d changes in %.0f s", made, seconds)
    }

    /// - Returns: how many changes were made.
    private static func changeUntilCancelled(
        from writer: Int, _ port: UInt16, _ etcd: EtcdProcess, since start: ContinuousClock.Instant
    ) async throws -> Int {
        var (number, count) = (writer, 0)
        while !Task.isCancelled {
            do {
                try await change(number, port, etcd)
            } catch  where Task.isCancelled {
                break
            }
            number += writers
            count += 1
            // The pace; when cancelled, the loop ends.
            try? await Task.sleep(until: start + .seconds(1) * number / changesPerSecond)
        }
        return count
    }

    /// By turns one is there and does not take new connections: each word of it is another snapshot.
    private static func change(_ number: Int, _ port: UInt16, _ etcd: EtcdProcess) async throws {
        let instance = number / services.count % changing
        let isUp = number / services.count / changing % 2 == 0
        try await etcd.put(
            "/services/\(services[number % services.count])/\(instance)",
            #"{"host":"127.0.1.\#(instance + 1)","port":\#(port),"state":"\#(isUp ? "up" : "draining")"}"#)
    }
}

extension Sequence {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
