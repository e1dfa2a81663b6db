/*
 * base/blob.h - immutable shared bytes: a stanza serialised once for many.
 *
 * The only thing of ours that several threads hold at once; its count is
 * atomic.
 */
#pragma once

#include "base/str.h"

struct blob;

/* A copy of the bytes with one reference. */
struct blob *blob_new(struct str);
struct blob *blob_ref(struct blob *);
/* Drops a reference and nulls the pointer; NULL is fine. */
void blob_unref(struct blob **);
struct str blob_str(const struct blob *);
