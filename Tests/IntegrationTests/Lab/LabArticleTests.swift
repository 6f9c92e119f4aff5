// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// `make demo-article`: the article of 2014 by its own units, on two hosts. It asserts what it prints.
@Suite(.tags(.integration), .timeLimit(.minutes(10)))
struct LabArticleTests {
    @Test(arguments: ["link", "network"])
    func theArticleIsTrue(form: String) async throws {
        try await withStage(.lab) { stage in
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

    @Test(arguments: ["register"])
    func aBrokenArticleIsNoticed(part: String) async throws {
        try await withStage(.lab) { stage in
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
