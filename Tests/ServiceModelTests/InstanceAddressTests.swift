// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@Suite struct InstanceAddressTests {
    @Test(arguments: ["10.77.0.1:6379", "[fd00::1]:6379", "unix:/run/redis.sock"])
    func addressesSurviveTheirText(text: String) throws {
        #expect(try #require(InstanceAddress(text)).description == text)
    }

    @Test(arguments: [
        "", "redis:6379", "10.77.0.1", "unix:", "unix:/", "unix:relative", "unix:/a\0b", "/run/redis.sock",
    ])
    func nothingElseIsAnAddress(text: String) {
        #expect(InstanceAddress(text) == nil)
    }

    @Test func longestPathLeavesRoomForItsEnd() {
        let longest = "/" + String(repeating: "x", count: UnixPath.maximumLength - 1)
        #expect(UnixPath(longest)?.description == longest)
        #expect(UnixPath(longest + "x") == nil)
    }
}
