// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// As many connections as there are descriptors for, and as many one after another as a busy day brings, while a hundred
/// times a second others of their services come and go. Run by itself (`Scripts/test integration`): it takes the machine.
@Suite(.tags(.integration), .serialized, .untilHung)
struct CrowdTests {
    /// Below what 20,000 descriptors allow: (20,000 - 256 - 2 × 32) / 2.
    private static let atOnce = 9_000
    private static let inSequence = 100_000
    private static let changesPerSecond = 100
    private static let services = ["crowd-A", "crowd-B"]

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
            let changes = try await stage.start(
                Self.crowd(["changes", etcd.url, "\(port)", "\(Self.changesPerSecond)"] + Self.services))
            try await changes.firstLine(containing: "changing")
            try await Self.succeeds(stage, ["at-once", "\(Self.atOnce)", "5"] + doors)
            try await Self.succeeds(stage, ["in-sequence", "\(Self.inSequence)"] + doors)
            try changes.terminate()
            #expect(try await changes.end() == .code(0), "\(changes.lastLines())")
            try await waitFor("its descriptors to be those of the beginning") {
                try proxy.descriptorCount == descriptors
            }
            let growth = try proxy.anonymousBytes - memory
            let made = changes.lastLines(1)
            print("crowd as \(user.rawValue): \(made), memory grew by \(growth / 1024) KiB of \(memory / 1024)")
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
        let outcome = try await stage.run(crowd(arguments), within: .seconds(1200))
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
}

extension Sequence {
    fileprivate func asyncMap<Result>(_ transform: (Element) async throws -> Result) async throws -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
