// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

@Suite struct EndpointBookTests {
    private static func endpoint(_ text: String) throws -> EtcdEndpoint { try #require(EtcdEndpoint(text)) }

    private static func member(_ name: String, _ urls: [String], isLearner: Bool = false) -> Member {
        Member(id: 1, name: name, clientURLs: urls, isLearner: isLearner)
    }

    private func round(_ book: inout EndpointBook) -> [String] {
        (0..<book.count).map { _ in
            defer { book.advance() }
            return book.current.description
        }
    }

    @Test func goesRoundFromTheGivenOne() throws {
        var book = EndpointBook(seeds: try ["a", "b", "c"].map(Self.endpoint), first: 1)
        #expect(round(&book) == ["http://b:2379", "http://c:2379", "http://a:2379"])
    }

    @Test func addsMembersBehindTheSeedsAndKeepsItsPlace() throws {
        var book = EndpointBook(seeds: try ["a", "b"].map(Self.endpoint), first: 1)
        book.learn([Self.member("m1", ["http://c:2379"]), Self.member("m2", ["http://a:2379"])])
        #expect(round(&book) == ["http://b:2379", "http://c:2379", "http://a:2379"])
    }

    @Test func learnersMembersThatNeverStartedAndWhatIsNoURLAreLeftOut() throws {
        var book = EndpointBook(seeds: [try Self.endpoint("a")], first: 0)
        book.learn([
            Self.member("learner", ["http://l:2379"], isLearner: true), Self.member("", ["http://n:2379"]),
            Self.member("m", ["not a url", "unix://x"]),
        ])
        #expect(round(&book) == ["http://a:2379"])
    }

    /// What a cluster says of itself may be wrong, or nothing at all; what the operator said stays.
    @Test func anEmptyListTakesNothingAwayButWhatWasLearned() throws {
        var book = EndpointBook(seeds: [try Self.endpoint("a")], first: 0)
        book.learn([Self.member("m", ["http://c:2379"])])
        book.advance()
        book.learn([])
        #expect(round(&book) == ["http://a:2379"])
    }

    @Test func whereAllSeedsAreEncryptedNothingPlainIsLearned() throws {
        var book = EndpointBook(seeds: [try Self.endpoint("https://a")], first: 0)
        book.learn([Self.member("m1", ["http://c:2379"]), Self.member("m2", ["https://d:2379"])])
        #expect(round(&book) == ["https://a:2379", "https://d:2379"])
    }
}
