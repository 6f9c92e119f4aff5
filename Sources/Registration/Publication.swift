// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

/// One key of this process: what it is to say, and what is known of what it says.
struct Publication: Sendable {
    /// What is wanted of the key.
    enum Goal: Sendable {
        case up
        case draining
        /// `draining` first, then gone: nobody wants it any more.
        case leaving
    }

    /// What a value says, but for who says it and since when, which never change.
    struct Word: Sendable, Hashable {
        /// Nil for the presence key.
        let registration: Registration?
        let state: InstanceRecord.State
    }

    /// A write that was sent and that, as far as we know, may or may not have happened.
    struct Attempt: Sendable {
        /// Nil for a delete.
        let word: Word?
        /// From then on it happens no more, if it has not.
        let settledAt: Duration
    }

    /// How long a write may still happen that nobody answered: no request to a store lasts longer.
    static let uncertainty = Duration.seconds(30)

    let key: String
    /// Whose words it is in; nil for our own.
    let form: SecondForm?
    /// Nil for the presence key. Of a leaving one, what stands.
    private(set) var registration: Registration?
    private(set) var goal: Goal
    /// See `Wanted.isTentative`.
    private var isTentative: Bool
    /// RFC 3339, of the first attempt to publish it; kept through every later change.
    private(set) var since: String?
    private(set) var attempt: Attempt?
    /// Under the lease in force; nil when it stands not, or in other hands.
    private(set) var modRevision: Int64?
    /// What stands at `modRevision`.
    private var written: Word?
    /// Since when it has stood as draining.
    private var drainingSince: Duration?
    /// Since when it is no longer wanted.
    private var leavingSince = Duration.zero
    /// Whether this process has ever published it: who takes it over then is newer than we are.
    private(set) var wasPublished = false
    var lastNotice: RegistrationPlanner.Notice?

    init(key: String, form: SecondForm? = nil, _ wanted: Wanted?) {
        self.key = key
        self.form = form
        registration = wanted?.registration
        goal = wanted?.state == .draining ? .draining : .up
        isTentative = wanted?.isTentative ?? false
    }

    /// Whether it may be put where nothing of ours has been yet.
    var mayBegin: Bool { !isTentative || wasPublished || attempt != nil }

    /// Whether `wanted` is to be made of it: what is tentative raises nobody who is about to leave, and changes nothing.
    func takes(_ wanted: Wanted) -> Bool {
        !wanted.isTentative || (isTentative && goal == .up && registration == wanted.registration)
    }

    /// What it is to say now.
    /// - Parameter isWithdrawing: the whole process is about to go.
    func word(isWithdrawing: Bool) -> Word {
        let isUp = registration == nil || (goal == .up && !isWithdrawing)
        return Word(registration: registration, state: isUp ? .up : .draining)
    }

    /// Whether it stands, as far as we know, and says `word`.
    func says(_ word: Word) -> Bool { modRevision != nil && written == word }

    /// Whether nothing of it can stand under our lease.
    var hasLeftNoTrace: Bool { modRevision == nil && attempt == nil }

    /// Whether it stood, and it was not we who removed it.
    var isMissed: Bool {
        if let attempt, attempt.word == nil { return false }
        return modRevision != nil
    }

    /// What to tell when a leaving one is gone, or one in a form that knows no draining; nil when it had not stood.
    var departure: RegistrationPlanner.Notice? {
        guard goal == .leaving || form != nil, modRevision != nil, let registration else { return nil }
        return .withdrawn(registration, key: key)
    }

    /// When a leaving one is to be looked at again; nil while that hangs on something else than time.
    func deadline(drainTime: Duration) -> Duration? {
        guard goal == .leaving else { return nil }
        return attempt?.settledAt ?? drainingSince.map { max($0, leavingSince) + drainTime }
    }

    /// Whether readers have had the time to hear that it leaves, and whoever wants it the time to want it again: what
    /// drained while it was still wanted, such as a container that is being restarted, may be back at once.
    func isDue(now: Duration, drainTime: Duration) -> Bool {
        guard goal == .leaving, let drainingSince else { return false }
        return max(drainingSince, leavingSince) + drainTime <= now
    }

    // MARK: What happened

    mutating func wanted(_ wanted: Wanted) {
        registration = wanted.registration
        goal = wanted.state == .draining ? .draining : .up
        isTentative = wanted.isTentative
    }

    /// What stands says `draining` with the address that stands, not with one that it was to get.
    mutating func unwanted(now: Duration) {
        guard goal != .leaving else { return }
        goal = .leaving
        leavingSince = now
        registration = written?.registration ?? attempt?.word?.registration ?? registration
    }

    /// - Parameter word: nil for a delete.
    mutating func attempted(_ word: Word?, now: RegistrationPlanner.Moment) {
        if word != nil { since = since ?? now.text }
        attempt = Attempt(word: word, settledAt: now.elapsed + Self.uncertainty)
    }

    /// It stands, by our own write. - Returns: what is news.
    mutating func stood(as word: Word, at revision: Int64, now: Duration) -> [RegistrationPlanner.Notice] {
        let before = written
        modRevision = revision
        written = word
        attempt = nil
        wasPublished = true
        if word.state == .up { drainingSince = nil } else { drainingSince = drainingSince ?? now }
        guard let registration = word.registration else { return [] }
        var notices: [RegistrationPlanner.Notice] = []
        if let before = before?.registration {
            if before.endpoint != registration.endpoint {
                notices.append(.moved(registration, key: key, from: before.endpoint))
            }
        } else {
            notices.append(.registered(registration, key: key))
        }
        if word.state != before?.state ?? .up {
            notices.append(word.state == .up ? .upAgain(registration, key: key) : .draining(registration, key: key))
        }
        return notices
    }

    /// It stands as we last wrote it, and as it is to stand.
    mutating func confirmed() { attempt = nil }

    /// It is not there, or in other hands; a write that nobody has answered may yet change that.
    mutating func vanished(now: Duration) {
        lost()
        if let settledAt = attempt?.settledAt, settledAt <= now { attempt = nil }
    }

    /// The store has taken the delete, or has lost our lease: no write from before happens any more.
    mutating func ended() {
        lost()
        attempt = nil
    }

    private mutating func lost() {
        modRevision = nil
        written = nil
        drainingSince = nil
    }
}
