// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import TestSupport
import Testing

/// `Scripts/lab` by itself, and `make demo-article`, which shows the article on it.
@Suite(.tags(.integration), .timeLimit(.minutes(10)))
struct LabTests {
    private static let lab = "\(PackageRoot.path)/Scripts/lab"

    @Test func canBePutUpTwiceAndTakenDownTwice() async throws {
        try await withStage(.waiting) { stage in
            let folder = try stage.directory() + "/lab"
            let environment = ["LEGATION_LAB": folder, "LEGATION_BINARY": try LegationBinary.path]
            func lab(_ words: String...) async throws -> Outcome {
                try await stage.run(Command(Self.lab, words, environment: environment), within: .seconds(120))
            }
            #expect(try await lab("status").status == .code(1))
            for _ in 0..<2 {
                let up = try await lab("up", "hostA")
                #expect(up.succeeded, "\(up)")
            }
            #expect(try await lab("status").succeeded)
            let one = try await lab(
                "exec", "hostA", "docker", "run", "-d", "--name", "redis", "-p", "6379", "redis:local")
            #expect(one.succeeded, "\(one)")
            #expect(try await lab("exec", "hostA", "sh", "-c", "exit 7").status == .code(7))
            let marked = try await stage.run(Command("sh", ["-c", Self.whatIsLeft, "sh", folder]))
            #expect(!marked.output.isEmpty, "what looks for leftovers sees what is there")
            for _ in 0..<2 {
                let down = try await lab("down")
                #expect(down.succeeded, "\(down)")
            }
            let left = try await stage.run(Command("sh", ["-c", Self.whatIsLeft, "sh", folder]))
            #expect(left.output.isEmpty, "\(left)")
            #expect(try await lab("status").status == .code(1))
            #expect(!FileManager.default.fileExists(atPath: folder))
        }
    }

    /// Processes, mounts and control groups that belong to a lab, by its folder's name.
    private static let whatIsLeft = """
        grep -F "$1" /proc/self/mountinfo
        for file in /proc/[0-9]*/environ; do
            pid=${file#/proc/} pid=${pid%/environ}
            [ "$pid" = $$ ] || ! grep -qzxF "LEGATION_LAB=$1" "$file" 2>/dev/null || tr '\\0' ' ' <"/proc/$pid/cmdline"
        done
        true
        """

    @Test(arguments: ["up hostA hostA", "up -x", "nonsense", "exec", "engine hostA nonsense"])
    func refusesWhatItDoesNotKnow(words: String) async throws {
        try await withStage { stage in
            let folder = try stage.directory() + "/lab"
            let outcome = try await stage.run(
                Command(Self.lab, words.split(separator: " ").map(String.init), environment: ["LEGATION_LAB": folder]))
            #expect(outcome.status == .code(64), "\(outcome)")
            #expect(!outcome.errors.isEmpty)
        }
    }

    @Test(arguments: ["link", "network"])
    func theArticleIsTrue(form: String) async throws {
        try await withStage(.waiting) { stage in
            let begun = ContinuousClock.now
            let demo = try await stage.start(
                Command(
                    "\(PackageRoot.path)/Scripts/demo-article", [form],
                    environment: ["LEGATION_BINARY": try LegationBinary.path], grace: .seconds(10)))
            #expect(try await demo.end(within: .seconds(180)) == .code(0), "\(demo.lastLines())")
            report(.now - begun, "the article by \(form), beside every other test", promise: .seconds(60))
            #expect(demo.output.contains("PONG"), "\(demo.lastLines())")
            #expect(demo.leftBehind.isEmpty)
        }
    }

    @Test(arguments: ["register", "proxy", "redis"])
    func aBrokenArticleIsNoticed(part: String) async throws {
        try await withStage(.waiting) { stage in
            let demo = try await stage.start(
                Command(
                    "\(PackageRoot.path)/Scripts/demo-article", ["link"],
                    environment: ["BREAK": part, "LEGATION_BINARY": try LegationBinary.path], grace: .seconds(10)))
            let status = try await demo.end(within: .seconds(180))
            #expect(status == .code(1), "\(demo.lastLines())")
            #expect(demo.output.contains("BREAK: ") && demo.output.contains("NOT TRUE: "), "\(demo.lastLines())")
            #expect(demo.leftBehind.isEmpty)
        }
    }
}
