// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// `make demo` must notice when what it shows is not true.
@Suite(.tags(.integration), .timeLimit(.minutes(5)))
struct DemoTests {
    @Test(arguments: ["proxy", "register", "redis"])
    func aBrokenDemoFailsAndLeavesNothingRunning(part: String) async throws {
        try await withStage(.waiting) { stage in
            let binary = try LegationBinary.path
            let demo = try await stage.start(
                Command(
                    "\(PackageRoot.path)/Scripts/demo", environment: ["BREAK": part, "LEGATION_BINARY": binary],
                    grace: .seconds(5)))
            let session = try demo.pid
            // 40 s for a whole demo, and this one shares the machine with every other test.
            let status = try await demo.end(within: .seconds(120))
            #expect(status != .code(0), "\(demo.lastLines())")
            guard case .code = status else {
                Issue.record("ended by \(status): \(demo.lastLines())")
                return
            }
            #expect(demo.lines.contains { $0.text.contains(part) }, "it says what broke: \(demo.lastLines())")
            #expect(try ProcessUnderTest.members(ofSession: session).isEmpty)
        }
    }
}
