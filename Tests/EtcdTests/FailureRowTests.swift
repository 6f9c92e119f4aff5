// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

@Suite struct FailureRowTests {
    @Test func onlyWhatWasGoodForAWhileEndsTheRow() {
        var row = FailureRow()
        row.ended(wasGood: false, lived: .seconds(60))
        row.ended(wasGood: true, lived: .milliseconds(4999))
        row.ended(wasGood: false, lived: .zero)
        #expect(row.count == 3)
        row.ended(wasGood: true, lived: .seconds(5))
        #expect(row.count == 0)
    }
}
