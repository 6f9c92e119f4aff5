// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import ServiceModel

@Suite struct ServiceNameTests {
    @Test(arguments: ["redis-A", "shop/checkout", "a", "A.b_c-9", "...", "a/b/c/d", String(repeating: "n", count: 200)])
    func allowedNamesAreKeptAsTheyAre(text: String) {
        #expect(ServiceName(text)?.description == text)
    }

    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", "a b", "a\n", "é", "a:b", "a%20", "a@b", "a=b", "a\0", "ａ", "*", "a,b",
        String(repeating: "n", count: 201), "a\u{301}",
    ])
    func everythingElseHasNoName(text: String) {
        #expect(ServiceName(text) == nil)
    }

    @Test func orderIsThatOfTheText() throws {
        let names = try ["a", "a/b", "b"].map { try #require(ServiceName($0)) }
        #expect(names.reversed().sorted() == names)
    }
}
