// SPDX-License-Identifier: Apache-2.0

/**
 * The silicon of the example, as its manual in package {@code com.example.minimal} describes it. Read {@code
 * MinimalSilicon}, {@code MinimalUnit}, {@code EntryCache}.
 */
package com.example.minimal.sim;
