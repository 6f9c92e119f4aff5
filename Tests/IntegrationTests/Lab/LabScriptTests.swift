// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import TestSupport
import Testing

/// `Scripts/lab` by itself.
@Suite(.tags(.integration), .untilHung)
struct LabScriptTests {
    private static let lab = "\(PackageRoot.path)/Scripts/lab"

    @Test func canBePutUpTwiceAndTakenDownTwice() async throws {
        try await withStage(.lab) { stage in
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
}
