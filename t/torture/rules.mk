# the module once more, with each of its allocations behind a wrapper; those of
# the runtimes of gcov and the sanitizers, which come afterwards, are not

WRAPPED =	ngx_palloc ngx_pnalloc ngx_pcalloc ngx_alloc ngx_calloc malloc \
		calloc realloc ngx_slab_alloc ngx_slab_calloc \
		ngx_slab_alloc_locked ngx_slab_calloc_locked ngx_array_push \
		ngx_list_push ngx_array_create ngx_create_pool \
		ngx_alloc_chain_link ngx_create_temp_buf ngx_pool_cleanup_add \
		ngx_http_cleanup_add ngx_http_upstream_create \
		ngx_http_subrequest ngx_thread_task_alloc \
		ngx_thread_task_post EVP_MD_CTX_new

# what fails for other reasons than memory

OTHERS =	$(CALLS) X509_digest ngx_ssl_get_subject_dn \
		ngx_http_complex_value ngx_read_file

HTTP_INC =	-I$(NGX_DIR)/src/http -I$(NGX_DIR)/src/http/modules \
		-I$(NGX_DIR)/src/http/v2 -I$(NGX_DIR)/src/http/v3 \
		-I$(NGX_DIR)/src/event/modules

$(OBJS)/torture/ngx_http_tccbs_module.so: $(MODULE) t/torture/wrap.c \
		t/unit/calls.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g -O1 -fPIC $(WARN) $(PROBES) $(NGX_INC) $(HTTP_INC) \
		-fno-builtin -c -o $(@D)/wrap.o t/torture/wrap.c
	$(LD) -r -o $(@D)/module.o $(WRAPPED:%=--wrap=%) \
		$(OTHERS:%=--wrap=%) $(@D)/wrap.o \
		$$(find $(OBJS)/nginx/addon -name '*.o') \
		$(OBJS)/nginx/ngx_http_tccbs_module_modules.o
	$(CC) -shared $(PROBES) -o $@ $(@D)/module.o -lyajl -lhiredis \
		-lcrypto -lssl

unit: $(OBJS)/torture/ngx_http_tccbs_module.so
