// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import TestSupport
import Testing

/// docs/etcd-client-behaviour.md says of each behaviour where it is and which test shows it. It must not say so in vain.
@Suite struct BehaviourDocumentTests {
    struct Behaviour: CustomStringConvertible {
        let line: Int
        let words: String
        /// Names of source files.
        let places: [String]
        /// `Suite.testName`.
        let tests: [String]

        var description: String { "line \(line): \(words)" }
    }

    /// This project's folder.
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The rows of all tables of a page that have three columns, but for their heads.
    private static func behaviours(in page: String) -> [Behaviour] {
        page.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            guard line.hasPrefix("|") else { return nil }
            let cells = line.dropFirst().split(separator: "|", omittingEmptySubsequences: false)
                .map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count >= 3, cells[0] != "behaviour", !cells[0].hasPrefix("---") else { return nil }
            return Behaviour(line: index + 1, words: cells[0], places: quoted(cells[1]), tests: quoted(cells[2]))
        }
    }

    private static func quoted(_ cell: String) -> [String] {
        cell.matches(of: /`([^`]+)`/).map { String($0.1) }
    }

    private static func sources(under folder: String) throws -> [URL] {
        let files = FileManager.default.enumerator(at: root.appending(path: folder), includingPropertiesForKeys: nil)
        return try #require(files).compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
    }

    /// Every function that is a test, as `Suite.testName`.
    private static func tests(in text: String) -> Set<String> {
        var found: Set<String> = []
        var suite = ""
        var isTest = false
        for match in text.matches(of: /@Test\b|\b(?:struct|class|extension) (\w+)|\bfunc (\w+)/) {
            if let name = match.1 {
                if name.hasSuffix("Tests") { suite = String(name) }
            } else if let name = match.2 {
                if isTest { found.insert("\(suite).\(name)") }
                isTest = false
            } else {
                isTest = true
            }
        }
        return found
    }

    private static func page() throws -> [Behaviour] {
        let url = root.appending(path: "docs/etcd-client-behaviour.md")
        return behaviours(in: try String(contentsOf: url, encoding: .utf8))
    }

    @Test func everyBehaviourIsShownByATestThatExists() throws {
        let page = try Self.page()
        #expect(page.count > 40, "the page is not read as it is written")
        let known = try Self.sources(under: "Tests").reduce(into: Set<String>()) { known, file in
            known.formUnion(Self.tests(in: try String(contentsOf: file, encoding: .utf8)))
        }
        for behaviour in page {
            #expect(!behaviour.tests.isEmpty, "\(behaviour): no test is named")
            for test in behaviour.tests { #expect(known.contains(test), "\(behaviour): there is no test \(test)") }
        }
    }

    @Test func everyPlaceIsAFileOfTheSources() throws {
        let files = Set(try Self.sources(under: "Sources").map(\.lastPathComponent))
        for behaviour in try Self.page() {
            #expect(!behaviour.places.isEmpty, "\(behaviour): no file is named")
            for place in behaviour.places { #expect(files.contains(place), "\(behaviour): there is no \(place)") }
        }
    }

    /// What reads the page and the tests must be able to find nothing.
    @Test func aNameThatIsOnlyMentionedIsNoTest() {
        let text = """
            @Suite struct SomeTests {
                // func commentedOut()
                private func helper() {}
                @Test(.timeLimit(.minutes(1))) func first() {}
                @Test(arguments: [1])
                func second(_ number: Int) {}
                func third() {}
            }
            """
        #expect(Self.tests(in: text) == ["SomeTests.first", "SomeTests.second"])
        let page = Self.behaviours(in: "| behaviour | where | shown by |\n|---|---|---|\n| it is | `A.swift` | |\n")
        #expect(page.count == 1 && page[0].places == ["A.swift"] && page[0].tests.isEmpty)
    }
}
