// A small shared library whose code workers must find. Built twice, with different code.
#ifndef ANSWER
#define ANSWER 42
#endif

extern "C" __attribute__((visibility("default"))) int answer(int x);
extern "C" int answer(int x) { return x + ANSWER; }
