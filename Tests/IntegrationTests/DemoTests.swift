// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// `make demo` shows the main job, and must notice when what it shows is not true.
@Suite(.tags(.integration), .untilHung)
struct DemoTests {
    @Test func theDemoIsTrueAndLeavesNothingRunning() async throws {
        try await withStage(.waiting) { stage in
            let begun = ContinuousClock.now
            let demo = try await stage.start(
                Command(
                    "\(PackageRoot.path)/Scripts/demo", environment: ["LEGATION_BINARY": try LegationBinary.path],
                    grace: .seconds(5)))
            #expect(try await demo.end(within: .seconds(600)) == .code(0), "\(demo.lastLines())")
            report(.now - begun, "the demo, beside every other test", promise: .seconds(40))
            #expect(demo.output.contains("ping: PONG"))
            #expect(demo.leftBehind.isEmpty)
        }
    }

    @Test(arguments: ["proxy", "register", "redis"])
    func aBrokenDemoFailsAndLeavesNothingRunning(part: String) async throws {
        try await withStage(.waiting) { stage in
            let binary = try LegationBinary.path
            let demo = try await stage.start(
                Command(
                    "\(PackageRoot.path)/Scripts/demo", environment: ["BREAK": part, "LEGATION_BINARY": binary],
                    grace: .seconds(5)))
            // Its own waiting has an end; this one shares the machine with every other test.
            let status = try await demo.end(within: .seconds(600))
            #expect(status != .code(0), "\(demo.lastLines())")
            guard case .code = status else {
                Issue.record("ended by \(status): \(demo.lastLines())")
                return
            }
            #expect(demo.output.contains("BREAK: "), "it came as far as the break: \(demo.lastLines())")
            #expect(demo.output.contains("NOT TRUE: "), "it says what is not true: \(demo.lastLines())")
            #expect(demo.leftBehind.isEmpty)
        }
    }
}
