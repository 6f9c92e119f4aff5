// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

@testable import Docker
import Testing

@Suite struct ListingScheduleTests {
    private static let start = EngineEvent.container(ContainerEvent(action: "start", container: "a"))

    private static func listed(at time: Duration) -> ListingSchedule {
        var schedule = ListingSchedule(now: .zero)
        schedule.listingBegan(now: time)
        return schedule
    }

    @Test func listsOnceSubscribedAndNotMuchLaterWithout() {
        var schedule = ListingSchedule(now: .seconds(1))
        #expect(schedule.due == .milliseconds(1500))
        schedule.subscribed(now: .milliseconds(1100))
        #expect(schedule.due == .milliseconds(1100))
    }

    @Test func listsAgainAfterThePeriod() {
        #expect(Self.listed(at: .seconds(2)).due == .seconds(32))
    }

    @Test func listsSoonAfterAnEventAndManyOfThemAsOne() {
        var schedule = Self.listed(at: .zero)
        for milliseconds in [3000, 3010, 3090] {
            let isNews = schedule.happened(.other, now: .milliseconds(milliseconds))
            #expect(isNews)
            #expect(schedule.due == .milliseconds(3100), "the first, not the last, decides")
        }
    }

    /// Engines tell of a change before their list shows it.
    @Test func listsOnceMoreOneSecondAfterTheLastEvent() {
        var schedule = Self.listed(at: .zero)
        _ = schedule.happened(Self.start, now: .seconds(3))
        _ = schedule.happened(Self.start, now: .milliseconds(3050))
        schedule.listingBegan(now: .milliseconds(3100))
        #expect(schedule.due == .milliseconds(4050))
        schedule.listingBegan(now: .milliseconds(4050))
        #expect(schedule.due == .milliseconds(34050))
    }

    /// What happened while a list was under way may not be in it.
    @Test func listsOnceMoreForWhatHappenedMeanwhile() {
        var schedule = Self.listed(at: .zero)
        _ = schedule.happened(Self.start, now: .milliseconds(5))
        #expect(schedule.due == .milliseconds(105))
    }

    @Test func aListThatSomethingOvertookIsNotBelievedButNotForEver() {
        var schedule = Self.listed(at: .zero)
        let first = schedule.listingEnded()
        #expect(first)
        var believed: [Bool] = []
        for number in 1...7 {
            schedule.listingBegan(now: .seconds(number))
            _ = schedule.happened(Self.start, now: .seconds(number))
            believed.append(schedule.listingEnded())
        }
        #expect(believed == [false, false, false, false, false, true, false])
    }

    @Test(arguments: ["exec_create", "exec_start", "exec_die", "top", "attach", "resize"])
    func isNotHastenedByWhatChangesNothing(action: String) {
        var schedule = Self.listed(at: .zero)
        let event = EngineEvent.container(ContainerEvent(action: action, container: "a"))
        let isNews = schedule.happened(event, now: .seconds(1))
        #expect(!isNews)
        #expect(schedule.due == .seconds(30))
    }
}
