/*
 * util/handoff.h - tell the thread sanitizer about hand-overs that it cannot see.
 *
 * GLib's mutexes and queues are futexes inside a library that is not instrumented, so the sanitizer
 * misses the order that they give.  Whoever hands something over says handoff_give() with its
 * address, who takes it handoff_take().  In other builds both are nothing.  Any thread.
 */
#ifndef UTIL_HANDOFF_H
#define UTIL_HANDOFF_H

#if defined(__SANITIZE_THREAD__)
#define UNDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_THREAD_SANITIZER 1
#endif
#endif

#ifdef UNDER_THREAD_SANITIZER
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define handoff_take(at) __tsan_acquire(at)
#define handoff_give(at) __tsan_release(at)
#else
#define handoff_take(at) ((void)(at))
#define handoff_give(at) ((void)(at))
#endif

#endif
